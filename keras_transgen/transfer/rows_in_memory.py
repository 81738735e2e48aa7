"""Data sets read whole, in an order of their own, so that folds can be cut."""

from __future__ import annotations

import hashlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.training.batches import is_arrays
from keras_transgen.transfer.training_data import rows_of

# Data sets up to this size in memory are read whole.
_LARGEST = 2**31


def in_memory(x: Any, y: Any, sample_weight: Any) -> tuple[tuple, int | None] | str:
    """Arrays `(x, y, weights)` of what `fit` was given, and the size of its batches if it has any.

    The rows of a data set come in the order of their digests, the same whatever order it gives.

    Args:
        x: Arrays, or a data set of batches with an end.
        y: Labels of arrays.
        sample_weight: Weights of arrays.

    Returns:
        Or why they cannot be read whole.

    Raises:
        ValueError: The data set gives no batches, or no labels.
    """
    if hasattr(x, "to_numpy"):
        x = x.to_numpy()
    if is_arrays(x):
        return (x, y, sample_weight), None
    is_data_set = isinstance(x, tf.data.Dataset)
    if is_data_set and any(spec.shape.rank == 0 for spec in keras.tree.flatten(x.element_spec)):
        raise ValueError(
            f"A data set must give batches: data.batch(32). Received: elements of {x.element_spec}"
        )
    batches = iter(x) if is_data_set else (x[number] for number in range(x.num_batches))
    parts, size = [], 0
    for batch in batches:
        part = keras.tree.map_structure(
            np.asarray, keras.utils.unpack_x_y_sample_weight(batch), none_is_leaf=False
        )
        size += sum(leaf.nbytes for leaf in keras.tree.flatten(part) if leaf is not None)
        if size > _LARGEST:
            return "the data set is larger than 2 GiB in memory"
        parts.append(part)
    if not parts:
        raise ValueError("The data set must give at least one batch. Received: none")
    shapes = {tuple(leaf.shape[1:] for leaf in keras.tree.flatten(part[0])) for part in parts}
    if len(shapes) > 1:
        return "batches differ in the shape of their examples"
    whole = keras.tree.map_structure(
        lambda *leaves: None if leaves[0] is None else np.concatenate(leaves),
        *parts,
        none_is_leaf=True,
    )
    rows = rows_of(whole[0])
    leaves = [leaf for leaf in keras.tree.flatten(whole) if leaf is not None]
    digests = [
        hashlib.sha256(b"".join(bytes_of(leaf[row]) for leaf in leaves)).digest()
        for row in range(rows)
    ]
    order = np.array(sorted(range(rows), key=digests.__getitem__))
    ordered = keras.tree.map_structure(
        lambda leaf: None if leaf is None else leaf[order], whole, none_is_leaf=True
    )
    return ordered, rows_of(parts[0][0])


def bytes_of(values: Any) -> bytes:
    """The bytes of an array, by which rows are told apart; of words, the words."""
    array = np.ascontiguousarray(values)
    if array.dtype.kind in "OUS":
        return "\0".join(map(str, array.ravel())).encode()
    return array.tobytes()
