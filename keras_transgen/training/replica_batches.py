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
    if isinstance(data, tf.data.Dataset):
        leaves = keras.tree.flatten(data.element_spec)
        size = leaves[0].shape[0] if leaves and leaves[0].shape.rank else None
    else:
        size = (batch_size or _KERAS_DEFAULT) if hasattr(data, "shape") else batch_size
    if size is not None and size < replicas:
        raise ValueError(
            "Expected a batch of at least one example a replica; batch_size is that of all "
            f"replicas together. Give {replicas} or more, best a multiple of it, or use fewer "
            f"replicas. Received: batches of {size} for {replicas} replicas"
        )
