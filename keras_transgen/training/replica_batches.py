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

    Raises:
        ValueError: If there are more replicas than examples in a batch.
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
    """Refuse a last batch that leaves a replica without examples where TensorFlow fails on it.

    Such a replica computes on an empty batch. With oneDNN, the default on CPUs with AVX-512,
    TensorFlow 2.21 gives a convolution with a bias of an empty batch the shape of its input, and
    training ends in the middle ("must have the same size and shape"). XLA does not.

    Args:
        model: The model to be trained.
        data: Arrays; of anything else the number of rows is not known.
        batch_size: As `fit` received it.

    Raises:
        ValueError: If the last batch would meet the fault.
    """
    strategy = model.distribute_strategy
    replicas = strategy.num_replicas_in_sync
    if replicas == 1 or model.jit_compile or not getattr(data, "shape", None):
        return
    last = data.shape[0] % (batch_size or _KERAS_DEFAULT)
    if not last or not _leaves_one_out(last, replicas):
        return
    if any("GPU" in device for device in strategy.extended.worker_devices):
        return
    if any(isinstance(layer, CONVOLUTIONS) for layer in flat_layers(model)) and _loses_shapes():
        raise ValueError(
            f"The last batch has {last} examples for {replicas} replicas and leaves one without "
            "any, on which TensorFlow's convolutions fail on this CPU (oneDNN). Choose another "
            "batch_size or another number of examples, compile with jit_compile=True, or set "
            "TF_ENABLE_ONEDNN_OPTS=0 before TensorFlow is imported. Received: "
            f"{data.shape[0]} examples, batch_size={batch_size or _KERAS_DEFAULT}"
        )


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
