"""A batch that leaves replicas without work is a mistake, and refused before training."""

from __future__ import annotations

import functools
from typing import Any

import keras
import tensorflow as tf

from keras_transgen.training.compilation import CONVOLUTIONS, flat_layers

_KERAS_DEFAULT = 32


def refuse_idle_replicas(
    strategy: tf.distribute.Strategy, data: Any, batch_size: int | None
) -> None:
    """Refuse a batch with fewer examples than there are replicas.

    `batch_size` is of all replicas together. They need not divide it: the larger parts count for
    more, and the step is the one that a single replica would take (see `loss_weight`). But a
    replica that never has an example would only wait for the others.

    Args:
        strategy: The model's.
        data: Arrays or a data set; of anything else nothing is known.
        batch_size: As `fit` received it.
    """
    replicas = strategy.num_replicas_in_sync
    largest = _largest_batch(data, batch_size)
    # No examples at all are another mistake.
    if largest and largest < replicas:
        raise ValueError(
            "A batch is shared by all replicas, and each needs an example of it. Raise "
            f"batch_size to at least {replicas}, best to a multiple of it, or use fewer replicas. "
            f"Received: {largest} examples a batch for {replicas} replicas"
        )


def _largest_batch(data: Any, batch_size: int | None) -> int | None:
    """How many examples a batch has at most, or `None` where that is not known."""
    if isinstance(data, tf.data.Dataset):
        leaves = keras.tree.flatten(data.element_spec)
        return leaves[0].shape[0] if leaves and leaves[0].shape.rank else None
    if not getattr(data, "shape", None):
        return batch_size
    return min(batch_size or _KERAS_DEFAULT, int(data.shape[0]))


def refuse_lost_convolutions(model: keras.Model, data: Any, batch_size: int | None) -> None:
    """Refuse a batch that leaves a replica without examples where TensorFlow fails on it.

    Such a replica computes on an empty batch. With oneDNN, the default on CPUs with AVX-512,
    TensorFlow 2.21 gives a convolution with a bias of an empty batch the shape of its input, and
    training ends in the middle ("must have the same size and shape"). XLA does not.

    Args:
        model: The model to be trained.
        data: Arrays; of anything else the number of rows is not known.
        batch_size: As `fit` received it.
    """
    rows, size = _rows(data), batch_size or _KERAS_DEFAULT
    if rows and not model.jit_compile and _fails_on_a_batch(model, rows, size):
        raise ValueError(
            "A batch, the last or each, leaves one of "
            f"{model.distribute_strategy.num_replicas_in_sync} replicas without examples, on which "
            "TensorFlow's convolutions fail on this CPU (oneDNN). Choose another "
            "batch_size or another number of examples, compile with jit_compile=True, or set "
            "TF_ENABLE_ONEDNN_OPTS=0 before TensorFlow is imported. Received: "
            f"{rows} examples, batch_size={size}"
        )


def size_without_lost_convolutions(
    model: keras.Model, data: Any, batch_size: int | None
) -> int | None:
    """A batch size that computes the same, where that asked for meets TensorFlow's fault.

    For evaluation and prediction, of which every example has its own part. See
    `refuse_lost_convolutions`.

    Returns:
        The largest one, up to `batch_size`, of which every batch has examples for each replica; the
        next larger one where there is none; else `batch_size`. Not every network fails on no
        examples.
    """
    rows, size = _rows(data), batch_size or _KERAS_DEFAULT
    if not rows or not _fails_on_a_batch(model, rows, size):
        return batch_size
    replicas = model.distribute_strategy.num_replicas_in_sync
    sizes = [*range(min(rows, size), 0, -1), *range(size + 1, size + replicas)]
    fitting = (smaller for smaller in sizes if not _fails_on_a_batch(model, rows, smaller))
    return next(fitting, batch_size)


def refuse_too_few(model: keras.Model, data: Any, error: Exception) -> None:
    """Say in words what TensorFlow's error means where replicas had no example at all.

    Args:
        model: The model that evaluated or predicted.
        data: Arrays; of anything else the number of rows is not known.
        error: What TensorFlow said.

    Raises:
        ValueError: There are fewer examples than replicas.
    """
    rows, replicas = _rows(data), model.distribute_strategy.num_replicas_in_sync
    if rows and rows < replicas and _fails_on_a_batch(model, rows, rows):
        raise ValueError(
            "Each replica needs an example, since TensorFlow's convolutions fail on none on this "
            "CPU (oneDNN). Save the model and load it outside of the strategy's scope, or give "
            f"more examples. Received: {rows} examples for {replicas} replicas"
        ) from error


def _rows(data: Any) -> int | None:
    """How many examples arrays have, or `None` where that is not known."""
    leaves = [leaf for leaf in keras.tree.flatten(data) if leaf is not None]
    shapes = [tuple(leaf.shape) for leaf in leaves if getattr(leaf, "shape", None)]
    return shapes[0][0] if shapes and len(shapes) == len(leaves) else None


def _fails_on_a_batch(model: keras.Model, rows: int, batch_size: int) -> bool:
    """Whether a batch leaves a replica with nothing but a convolution that fails on it."""
    strategy = model.distribute_strategy
    replicas = strategy.num_replicas_in_sync
    # Whole batches may leave one out, too: 4 examples for 3 replicas are 2, 2 and none.
    sizes = {min(rows, batch_size), rows % batch_size or batch_size}
    if replicas == 1 or not any(_leaves_one_out(size, replicas) for size in sizes):
        return False
    if any("GPU" in device for device in strategy.extended.worker_devices):
        return False
    has_convolutions = any(isinstance(layer, CONVOLUTIONS) for layer in flat_layers(model))
    return has_convolutions and _loses_shapes()


def _leaves_one_out(examples: int, replicas: int) -> bool:
    """Whether a batch is used up before every replica had its part, as TensorFlow cuts it."""
    part = -(-examples // replicas)
    return -(-examples // part) < replicas


@functools.cache
def _loses_shapes() -> bool:
    """Whether a convolution of an empty batch comes back with its input's shape."""

    @tf.function(autograph=False)
    def convolved(images: tf.Tensor) -> tf.Tensor:
        return tf.nn.bias_add(tf.nn.conv2d(images, tf.ones((2, 2, 1, 3)), 2, "SAME"), tf.zeros(3))

    with tf.device("CPU:0"):
        return convolved(tf.zeros((0, 4, 4, 1))).shape != (0, 2, 2, 3)
