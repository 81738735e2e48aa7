"""The first batch of data of any kind, looked at without losing it."""

from __future__ import annotations

import itertools
import types
from typing import Any

import keras
import tensorflow as tf


def first_batch(data: Any) -> tuple[Any, Any]:
    """The first batch of data that come in batches, and data that still begin with it.

    Args:
        data: A `tf.data.Dataset`, a `keras.utils.PyDataset` or a Python generator; of anything
            else, arrays for one, there is no first batch.

    Returns:
        The batch as a tuple `(inputs, labels, weights)`, what there is not as `None`, or `None`
        where there is no batch; and the data.

    Raises:
        ValueError: A generator has no batch left, or yields no tuples.
    """
    batch = None
    if isinstance(data, tf.data.Dataset):
        batch = next(iter(data.take(1)), None)
    elif isinstance(data, keras.utils.PyDataset):
        batch = data[0]
    elif isinstance(data, types.GeneratorType):
        batch = _first_of(data)
        data = (each for each in itertools.chain([batch], data))
    return None if batch is None else keras.utils.unpack_x_y_sample_weight(batch), data


def _first_of(batches: types.GeneratorType) -> tuple:
    """The first batch of a Python generator, which Keras takes as a tuple only."""
    first = next(batches, None)
    if first is None:
        raise ValueError("The data are empty: there is no batch. Received: a used-up generator")
    if not isinstance(first, (tuple, list)):
        raise ValueError(
            "A Python generator must yield tuples: (inputs,), (inputs, labels) or (inputs, labels, "
            f"weights). Received: a batch of type {type(first).__name__}"
        )
    return tuple(first)
