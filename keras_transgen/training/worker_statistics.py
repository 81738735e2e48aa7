"""Moving statistics, of which every worker keeps its own while it trains, made one again."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import keras
import tensorflow as tf

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
