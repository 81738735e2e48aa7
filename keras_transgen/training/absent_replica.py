"""What a replica without examples does to moving statistics: nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from keras_transgen.training.gradients import num_replicas


@contextlib.contextmanager
def statistics_without_gaps(model: keras.Model, size: tf.Tensor) -> Iterator[None]:
    """Within it, a replica that holds no examples keeps the statistics it had.

    The last batch of an epoch may be smaller than the number of replicas. Batch normalization takes
    the mean over no examples there, which is NaN, and its moving statistics, and all that averages
    over replicas or workers, would stay NaN. Does nothing with one replica.
    """
    if num_replicas() == 1:
        yield
        return
    # Each replica's own: those that are aggregated are equal everywhere.
    statistics = [
        variable
        for variable in model.non_trainable_weights
        if variable.aggregation == "none" and keras.backend.is_float_dtype(variable.dtype)
    ]
    before = [tf.identity(variable.value) for variable in statistics]
    yield
    for variable, old in zip(statistics, before):
        # NaN of a replica that holds examples stay, so that a diverged run is seen to be one.
        lost = (size == 0) & ~tf.math.is_finite(variable.value)
        variable.assign(tf.where(lost, old, variable.value))
