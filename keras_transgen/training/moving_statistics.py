"""Moving statistics, of which every replica and worker keeps its own while it trains."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator

import keras
import tensorflow as tf

from keras_transgen.training.gradients import num_replicas

_Average = Callable[[], None]
# By model: its statistics, and the function that averages them, made and traced once.
_AVERAGES: weakref.WeakKeyDictionary[keras.Model, tuple[list[keras.Variable], _Average]]
_AVERAGES = weakref.WeakKeyDictionary()


def synchronize_statistics(model: keras.Model) -> None:
    """Average a model's non-trainable float weights over the workers of a cluster.

    Trainable weights are identical on all workers, moving statistics of batch normalization are
    not. At the end of every epoch they are averaged, so that all workers evaluate and save the same
    model. Does nothing on one machine.

    Args:
        model: A built model under `MultiWorkerMirroredStrategy`; any other is left alone.
    """
    strategy = model.distribute_strategy
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return
    statistics = [
        variable
        for variable in model.non_trainable_weights
        if keras.backend.is_float_dtype(variable.dtype)
    ]
    if not statistics:
        return
    known, average = _AVERAGES.get(model, ([], None))
    if average is None or [id(each) for each in known] != [id(each) for each in statistics]:
        average = _average(strategy, statistics)
        _AVERAGES[model] = statistics, average
    average()


def _average(strategy: tf.distribute.Strategy, statistics: list[keras.Variable]) -> _Average:
    """A function that averages variables over the workers."""

    def assign(means: list[tf.Tensor]) -> None:
        for variable, mean in zip(statistics, means):
            variable.assign(mean)

    @tf.function(autograph=False)
    def average() -> None:
        local = strategy.run(lambda: [tf.identity(v.value) for v in statistics])
        mean = [strategy.reduce(tf.distribute.ReduceOp.MEAN, v, axis=None) for v in local]
        strategy.run(assign, args=(mean,))

    return average


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
