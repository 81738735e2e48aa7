"""The function that `fit` and `evaluate` call: the next batches in, one set of logs out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf


def make_step_function(
    model: keras.Model, step_function: Callable[..., Any], after: Callable[..., None]
) -> Callable[..., Any]:
    """Run a step on every replica, once or `steps_per_execution` times a call.

    It stands in for Keras' own, which reduces logs along an axis that scalars do not have and so
    fails on several machines.

    Args:
        model: Gives the strategy, `run_eagerly` and `steps_per_execution`.
        step_function: Called on each replica with its part of a batch; returns logs.
        after: Called with the reduced logs after every step, across replicas.

    Returns:
        A function from an iterator of batches to the logs of the last step taken.
    """
    strategy = model.distribute_strategy

    def one_step(data: Any) -> dict[str, tf.Tensor]:
        logs = strategy.run(step_function, args=(data,))
        logs = keras.tree.map_structure(
            lambda value: strategy.reduce(tf.distribute.ReduceOp.MEAN, value, axis=None), logs
        )
        # Without this order a graph may count the step before its batch is there, and the batch's
        # order is drawn, in another thread, from the count.
        with tf.control_dependencies(keras.tree.flatten(logs)):
            after(logs)
        return logs

    if not model.run_eagerly:
        one_step = tf.function(one_step, reduce_retracing=True, autograph=False)

    def several_steps(iterator: Any) -> dict[str, tf.Tensor]:
        logs = one_step(iterator.get_next())
        if model.steps_per_execution == 1:
            return logs

        def more(step: tf.Tensor, has_data: tf.Tensor, _: Any) -> tf.Tensor:
            return has_data & (step < model.steps_per_execution)

        def take(step: tf.Tensor, _: tf.Tensor, logs: Any) -> tuple:
            batch = iterator.get_next_as_optional()
            has_data = batch.has_value()
            logs = tf.cond(has_data, lambda: one_step(batch.get_value()), lambda: logs)
            return step + 1, has_data, logs

        return tf.while_loop(more, take, (tf.constant(1), tf.constant(True), logs))[2]

    in_graph = several_steps
    if not model.run_eagerly:
        in_graph = tf.function(several_steps, reduce_retracing=True, autograph=False)

    def function(iterator: Any) -> dict[str, tf.Tensor]:
        if isinstance(iterator, (tf.data.Iterator, tf.distribute.DistributedIterator)):
            return in_graph(iterator)
        logs: dict[str, tf.Tensor] = {}
        for _, data in zip(range(model.steps_per_execution), iterator):
            logs = one_step(data)
        return logs

    return function
