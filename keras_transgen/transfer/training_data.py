"""What `fit` was given: its size, its first rows, and whether it is all in memory."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.training.epoch_shuffle import is_arrays

# Enough rows to notice a wrong scale, few enough to prepare at once.
LOOKED_AT = 64


def as_arrays(values: Any) -> Any:
    """Lists of numbers as an array; anything else as it is."""
    is_list = isinstance(values, (list, tuple)) and not any(
        hasattr(each, "shape") for each in values
    )
    return np.asarray(values) if is_list else values


def is_in_memory(x: Any, y: Any = None) -> bool:
    """Whether data are arrays, so that all of them can be looked at."""
    return is_arrays((x, y))


def rows_of(x: Any) -> int:
    """Number of rows of an array `[rows, ...]`, or of a structure of them with equal rows."""
    return int(keras.tree.flatten(x)[0].shape[0])


def some_rows(x: Any, count: int = LOOKED_AT) -> Any:
    """Evenly spaced rows of arrays, or all of a smaller batch."""
    step = max(1, -(-rows_of(x) // count))
    return keras.tree.map_structure(lambda leaf: leaf[::step], x)


def take_steps(x: Any, steps: int | None) -> Any:
    """An endless data set cut to the steps of one epoch; anything else as it is."""
    if steps and isinstance(x, tf.data.Dataset) and int(x.cardinality()) < 0:
        return x.take(steps)
    return x


def steps_of(x: Any, batch_size: int | None) -> int | None:
    """Steps in an epoch over data, or `None` where only their end would tell.

    Args:
        x: Arrays, `tf.data.Dataset`, `keras.utils.PyDataset` or a generator.
        batch_size: Examples a batch of arrays; 32 if `None`.
    """
    if isinstance(x, tf.data.Dataset):
        steps = int(x.cardinality())
        return steps if steps > 0 else None
    if isinstance(x, keras.utils.PyDataset):
        return x.num_batches
    if not is_arrays(x):
        return None
    return math.ceil(rows_of(x) / (batch_size or 32))
