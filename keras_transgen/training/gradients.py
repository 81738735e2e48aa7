"""Gradients of one replica and their way into the variables: scaled, summed and applied once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf


def num_replicas() -> int:
    """The number of replicas that take a step together."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def loss_weight(
    batch_size: tf.Tensor | int, optimizer: keras.optimizers.Optimizer | None = None
) -> tf.Tensor:
    """The factor by which a replica multiplies its mean loss; the one place where losses scale.

    Gradients are summed over replicas. A replica that holds `b` of the `B` examples of the global
    batch therefore weighs its mean by `b / B`, so that the sum is the gradient of the global mean,
    ragged last batches included; an optimizer that scales losses (`LossScaleOptimizer`,
    `loss_scale_factor`) adds its factor here too. Call it outside the compiled function.

    Args:
        batch_size: Number of examples that this replica holds.
        optimizer: The optimizer that will receive the gradients.

    Returns:
        A float32 scalar.
    """
    weight = tf.constant(1.0)
    if num_replicas() > 1:
        local = tf.cast(batch_size, tf.float32)
        replica = tf.distribute.get_replica_context()
        weight = tf.math.divide_no_nan(local, replica.all_reduce(tf.distribute.ReduceOp.SUM, local))
    if optimizer is not None:
        weight = tf.cast(optimizer.scale_loss(weight), tf.float32)
    return weight


def gradients_of(
    loss_function: Callable[[], tuple[tf.Tensor, Any]],
    variables: Sequence[keras.Variable],
    weight: tf.Tensor,
) -> tuple[list[tf.Tensor | None], tf.Tensor, Any]:
    """Differentiate a loss with respect to the variables that train, and to no others.

    Args:
        loss_function: Called without arguments; returns the mean loss over this replica's examples
            and anything else the caller wants back.
        variables: The variables to differentiate by. Only these are watched, so a frozen network
            costs no backward pass.
        weight: What `loss_weight` returned.

    Returns:
        The gradients (of the weighted loss), the unweighted loss, and the second value of
        `loss_function`.
    """
    values = [variable.value for variable in variables]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        loss, extra = loss_function()
        weighted = loss * tf.cast(weight, loss.dtype)
    # Rows of a table that was looked up come as often as they were met, and Keras' optimizers would
    # square each by itself: Adam's second moment is that of whole tables.
    gradients = [
        None if gradient is None else tf.convert_to_tensor(gradient)
        for gradient in tape.gradient(weighted, values)
    ]
    if num_replicas() > 1:
        # The mean over no examples is NaN; a replica left without any must add nothing.
        present = weight > 0
        gradients = [
            None if gradient is None else tf.where(present, gradient, tf.zeros_like(gradient))
            for gradient in gradients
        ]
    return gradients, loss, extra


def apply_gradients(
    optimizer: keras.optimizers.Optimizer,
    gradients: Sequence[tf.Tensor | None],
    variables: Sequence[keras.Variable],
) -> None:
    """Apply a replica's gradients so that any number of replicas takes one replica's step.

    Keras clips, accumulates and checks for infinities before it sums over replicas: two replicas
    then clip halves, a loss scale sees one replica's infinities only, and gradient accumulation or
    a weight average that overwrites fails to trace at all. Optimizers that do none of this go
    Keras' way; for the others the gradients are summed first and applied across replicas.

    No variable moves before every gradient is there. TensorFlow orders the reads of a variable
    before its update, but its dependency optimizer loses some of these edges, and a gradient
    computed by hand from two variables is then sometimes that of a later one; these edges stay.

    Args:
        optimizer: A Keras optimizer, built.
        gradients: One gradient a variable, weighted by `loss_weight`.
        variables: The variables that the optimizer was built with.
    """
    with tf.control_dependencies([each for each in gradients if each is not None]):
        _apply_together(optimizer, gradients, variables)


def _apply_together(
    optimizer: keras.optimizers.Optimizer,
    gradients: Sequence[tf.Tensor | None],
    variables: Sequence[keras.Variable],
) -> None:
    if num_replicas() == 1 or not _looks_at_gradients(optimizer):
        optimizer.apply(gradients, variables)
        return
    present = [(g, v) for g, v in zip(gradients, variables) if g is not None]
    replica = tf.distribute.get_replica_context()
    summed = replica.all_reduce(tf.distribute.ReduceOp.SUM, [gradient for gradient, _ in present])

    def apply_across_replicas(strategy: tf.distribute.Strategy, *per_replica: Any) -> None:
        first = [strategy.experimental_local_results(value)[0] for value in per_replica]
        with _updates_across_replicas(strategy):
            _apply(optimizer, first, [variable for _, variable in present])

    replica.merge_call(apply_across_replicas, args=tuple(summed))


def _looks_at_gradients(optimizer: keras.optimizers.Optimizer) -> bool:
    """Whether the optimizer does more with gradients than pass them to its update rule."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return True
    inner = getattr(optimizer, "optimizers", None)
    if inner is not None:
        return any(_looks_at_gradients(one) for one in inner)
    settings = ("clipnorm", "clipvalue", "global_clipnorm", "gradient_accumulation_steps")
    return bool(optimizer.use_ema) or any(
        getattr(optimizer, setting, None) is not None for setting in settings
    )


def _apply(
    optimizer: keras.optimizers.Optimizer,
    gradients: list[tf.Tensor],
    variables: list[keras.Variable],
) -> None:
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        # Its public `apply` refuses a cross-replica context, because it expects to find gradients
        # that still differ between replicas; these no longer do.
        optimizer._common_apply(gradients, variables)
    else:
        optimizer.apply(gradients, variables)


@contextlib.contextmanager
def _updates_across_replicas(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Let Keras' optimizers update mirrored variables from a cross-replica context.

    Keras asks the strategy whether updates must go through `merge_call`, which exists only inside
    a replica. Here the merge has already happened. There is no public switch, so the strategy's
    answer is replaced for the moment of the update; tests/training/test_gradients.py tells when
    TensorFlow changes this.
    """
    extended = strategy.extended
    previous = extended._use_merge_call
    extended._use_merge_call = lambda: False
    try:
        yield
    finally:
        extended._use_merge_call = previous
