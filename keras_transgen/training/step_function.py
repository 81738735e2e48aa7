"""The function that takes batches from an iterator and runs a step on every replica."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

_SAID_BY_XLA = (
    "Detected unsupported operations",
    "XLA_CPU_JIT",
    "XLA_GPU_JIT",
    "must be a compile-time constant",
    "tf2xla conversion failed",
)


def make_step_function(
    model: keras.Model,
    step_function: Callable[[Any], dict[str, tf.Tensor]],
    after: Callable[[dict[str, tf.Tensor]], None],
    before: Callable[[], None] | None = None,
    give_up_xla: Callable[[Exception], None] | None = None,
) -> Callable[[Any], dict[str, tf.Tensor]]:
    """Make Keras' train or test function for any strategy, several workers included.

    Keras' own reduces logs along an axis that scalars do not have (keras-team/keras#20585). A batch
    is fetched before the step's graph starts: where both are one graph, an optimizer's counter,
    which waits for no batch, has moved when the end of the data is met.

    Args:
        model: Gives the strategy, `run_eagerly` and `steps_per_execution`.
        step_function: Called on each replica with its part of a batch; returns logs.
        after: Called with the reduced logs after every step, across replicas.
        before: Called before every step, across replicas.
        give_up_xla: Called with the error where XLA cannot compile a step; it raises, or sees to it
            that the step is not compiled when it is traced again.

    Returns:
        A function from an iterator of batches to the logs of the last step taken. It raises
        `StopIteration` where the iterator has no batch.
    """
    strategy = model.distribute_strategy
    # Inside a loop of the graph, replicas cannot meet to apply their gradients.
    loops_in_graph = (
        strategy.num_replicas_in_sync == 1
        and model.steps_per_execution > 1
        and not model.run_eagerly
    )

    def one_step(data: Any) -> dict[str, tf.Tensor]:
        if before is not None:
            before()
        logs = strategy.run(step_function, args=(data,))
        logs = keras.tree.map_structure(
            lambda value: strategy.reduce(tf.distribute.ReduceOp.MEAN, value, axis=None), logs
        )
        if strategy.num_replicas_in_sync > 1:
            logs = {**logs, **_means_over_examples(model, logs)}
        # Without this order a graph may count the step before its batch is there, and the batch's
        # order is drawn, in another thread, from the count.
        with tf.control_dependencies(keras.tree.flatten(logs)):
            after(logs)
        return logs

    compiled_steps: list[tuple[Any, Callable[..., Any]]] = []

    def taking(specification: Any) -> Callable[..., Any]:
        """The step for such batches, taken again without XLA where that cannot compile it.

        It cannot before anything of the step has run, so the batch is as it was.
        """

        def take_step(data: Any) -> dict[str, tf.Tensor]:
            try:
                return step_for(specification)(data)
            except tf.errors.OpError as error:
                if give_up_xla is None or not is_of_xla(error):
                    raise
                give_up_xla(error)
            compiled_steps.clear()
            return step_for(specification)(data)

        return take_step

    def step_for(specification: Any) -> Callable[..., Any]:
        """One trace for all batches of an iterator, ragged last ones included."""
        if model.run_eagerly:
            return one_step
        for known, step in compiled_steps:
            if known == specification:
                return step
        step = (
            tf.function(one_step, reduce_retracing=True, autograph=False)
            if specification is None
            else tf.function(one_step, input_signature=[specification], autograph=False)
        )
        compiled_steps.append((specification, step))
        return step

    def several_steps(iterator: Any) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        step = step_for(iterator.element_spec)
        none_yet = keras.tree.map_structure(
            lambda value: tf.zeros(value.shape, value.dtype),
            step.get_concrete_function().structured_outputs,  # type: ignore[attr-defined]
        )

        def more(taken: tf.Tensor, has_data: tf.Tensor, _: Any) -> tf.Tensor:
            return has_data & (taken < model.steps_per_execution)

        def take(taken: tf.Tensor, _: tf.Tensor, logs: Any) -> tuple:
            batch = iterator.get_next_as_optional()
            has_data = batch.has_value()
            logs = tf.cond(has_data, lambda: step(batch.get_value()), lambda: logs)
            return taken + tf.cast(has_data, tf.int32), has_data, logs

        taken, _, logs = tf.while_loop(more, take, (tf.constant(0), tf.constant(True), none_yet))
        return taken, logs

    in_graph = tf.function(several_steps, reduce_retracing=True, autograph=False)
    # Whether a step has run, so that the loop around it can be trusted to lose no batch to XLA.
    has_run: list[bool] = []

    def function(iterator: Any) -> dict[str, tf.Tensor]:
        if not isinstance(iterator, (tf.data.Iterator, tf.distribute.DistributedIterator)):
            return _in_turn(taking(None), iterator, model)
        if not loops_in_graph or not has_run:
            logs = _in_turn(taking(iterator.element_spec), iterator, model)
            has_run.append(True)
            return logs
        taken, logs = in_graph(iterator)
        if not int(taken):
            raise StopIteration
        return logs

    return function


def is_of_xla(error: Exception) -> bool:
    """Whether an error says that XLA cannot compile something."""
    text = str(error)
    return any(each in text for each in _SAID_BY_XLA)


def what_xla_says(error: Exception) -> str:
    """The line of an error that tells which op it is about."""
    lines = str(error).splitlines()
    telling = (line for line in lines if any(each in line for each in _SAID_BY_XLA))
    return f"{next(telling, lines[0] if lines else '').strip():.300}"


def _means_over_examples(model: keras.Model, logs: dict[str, Any]) -> dict[str, tf.Tensor]:
    """The logs that are means of the model's own, read across replicas.

    What a replica reads of a mean is the mean over its own examples, and the replicas' average of
    those gives each replica the same weight, whatever share of the batch it held. Keras corrects
    that only where the names of a step's logs are those of `model.metrics`, all of them.
    """
    means = [metric for metric in model.metrics if isinstance(metric, keras.metrics.Mean)]
    return {mean.name: mean.result() for mean in means if mean.name in logs}


def _in_turn(step: Callable[..., Any], iterator: Any, model: keras.Model) -> dict[str, tf.Tensor]:
    """Take `steps_per_execution` steps one by one, or those that the data still give."""
    logs = step(next(iterator))
    for _ in range(model.steps_per_execution - 1):
        try:
            data = next(iterator)
        except (StopIteration, tf.errors.OutOfRangeError):
            break
        logs = step(data)
    return logs
