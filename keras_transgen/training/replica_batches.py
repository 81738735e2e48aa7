"""A batch that leaves replicas without work is a mistake, and refused before training."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

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
    if largest is not None and largest < replicas:
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
