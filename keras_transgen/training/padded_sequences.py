"""Sequences of several lengths as one array and their lengths, on their way through `fit`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

# The keys of a dict that no network's inputs are likely to have.
_VALUES, _LENGTHS = "padded sequences", "sequence lengths"


class Masked(NamedTuple):
    """Prepared sequences and which of their positions count."""

    values: Any
    mask: Any


def is_padded(x: Any) -> bool:
    """Whether data are what `padded` gives."""
    return isinstance(x, dict) and set(x) == {_VALUES, _LENGTHS}


def padded(ragged: Any) -> dict[str, Any]:
    """Ragged sequences as an array with zeros (or empty words) behind their ends, and lengths.

    Args:
        ragged: A `tf.RaggedTensor` `[batch, length, ...]`, whose lengths alone differ.

    Raises:
        ValueError: More than the lengths differ.
    """
    if ragged.ragged_rank != 1:
        raise ValueError(
            "Examples may differ in their first dimension alone, their length. "
            f"Received: a ragged tensor of shape {ragged.shape.as_list()}"
        )
    return {_VALUES: ragged.to_tensor(), _LENGTHS: ragged.row_lengths()}


def values_and_mask(x: Any) -> tuple[Any, Any]:
    """The array of padded sequences, and which positions count, bool `[batch, length]`.

    Args:
        x: What `padded` gave, `Masked`, or anything else, of which everything counts: the mask is
            `None`.
    """
    if isinstance(x, Masked):
        return x
    if not is_padded(x):
        return x, None
    values = x[_VALUES]
    positions = keras.ops.arange(keras.ops.shape(values)[1])
    lengths = keras.ops.cast(x[_LENGTHS], "int32")
    return values, keras.ops.cast(positions, "int32")[None] < lengths[:, None]


def lengths_of(x: Any) -> np.ndarray | None:
    """The lengths of padded sequences; of arrays, the one that all have; `None` of anything else.

    Args:
        x: What `padded` gave, or an array `[batch, length, ...]`.
    """
    if is_padded(x):
        return np.asarray(x[_LENGTHS])
    if isinstance(x, (np.ndarray, tf.Tensor)) and len(x.shape) > 1:
        return np.full(x.shape[0], x.shape[1])
    return None


def by_length(x: dict[str, Any]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The rows of each length and their sequences, without padding, from short to long.

    Args:
        x: What `padded` gave.

    Raises:
        ValueError: A sequence is empty.
    """
    values, lengths = (np.asarray(x[key]) for key in (_VALUES, _LENGTHS))
    empty = np.flatnonzero(lengths == 0)
    if len(empty):
        raise ValueError(
            "Every sequence must have at least one element. "
            f"Received: {len(empty)} empty ones, the first in row {empty[0]}"
        )
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        yield rows, values[rows, :length]


@contextlib.contextmanager
def named_length(rows: np.ndarray, sequences: np.ndarray) -> Iterator[None]:
    """Errors of a network on sequences of one length say which they are.

    Args:
        rows: Their rows among all.
        sequences: The sequences, `[rows, length, ...]`.
    """
    try:
        yield
    except (ValueError, tf.errors.InvalidArgumentError) as error:
        said = str(error)
        why = "they are too short for its layers" if "Negative dimension" in said else said[:500]
        raise ValueError(
            f"Sequences of {sequences.shape[1]} elements cannot go through this network: {why}. "
            f"Received: {len(rows)} of them, the first in row {int(rows[0])}"
        ) from error


def in_their_rows(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """What was computed of each length by itself, in the order of the rows, zeros behind the ends.

    Args:
        parts: Rows and their values, `[rows, ...]` or `[rows, length, ...]`.
    """
    shape = np.max([values.shape[1:] for _, values in parts], axis=0)
    count = sum(len(rows) for rows, _ in parts)
    found = np.zeros((count, *shape), parts[0][1].dtype)
    for rows, values in parts:
        if values.ndim == 1:
            found[rows] = values
        else:
            found[rows, : values.shape[1]] = values
    return found


def with_padded_labels(data: tf.data.Dataset, value: int) -> tf.data.Dataset:
    """A data set whose ragged labels are padded within each batch.

    Args:
        data: Of `(x, y)` or `(x, y, sample_weight)`.
        value: What stands behind the ends.
    """
    spec = data.element_spec
    if not isinstance(spec, tuple) or len(spec) < 2 or not isinstance(spec[1], tf.RaggedTensorSpec):
        return data
    return data.map(lambda x, y, *weights: (x, y.to_tensor(value), *weights))


def read_whole(data: tf.data.Dataset) -> tuple[dict[str, Any], Any, Any]:
    """All sequences, labels and weights of a data set of padded batches, padded alike.

    Args:
        data: Gives `(x, y)` or `(x, y, sample_weight)`, `x` as `padded` makes it.
    """
    sequences: list[np.ndarray] = []
    others: list[tuple] = []
    for x, *rest in data:
        values, lengths = np.asarray(x[_VALUES]), np.asarray(x[_LENGTHS])
        sequences += [row[:length] for row, length in zip(values, lengths)]
        others.append(tuple(map(np.asarray, rest)))
    lengths = np.array([len(each) for each in sequences])
    whole = np.zeros((len(sequences), lengths.max(), *sequences[0].shape[1:]), sequences[0].dtype)
    for row, sequence in zip(whole, sequences):
        row[: len(sequence)] = sequence
    y, *weights = (_of_one_width(each) for each in zip(*others))
    return {_VALUES: whole, _LENGTHS: lengths}, y, weights[0] if weights else None


def _of_one_width(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Parts one below the other; behind those with fewer columns, -1, which is no label."""
    if parts[0].ndim < 2:
        return np.concatenate(parts)
    width = max(part.shape[1] for part in parts)
    return np.concatenate(
        [
            np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=-1)
            if part.ndim == 2
            else part
            for part in parts
        ]
    )


def gives_padded(data: Any) -> bool:
    """Whether a data set's inputs are what `padded` gives."""
    if not isinstance(data, tf.data.Dataset):
        return False
    spec = data.element_spec
    return is_padded(spec[0] if isinstance(spec, tuple) else spec)


def ragged_inputs(data: tf.data.Dataset) -> bool:
    """Whether the inputs of a data set are ragged."""
    spec = data.element_spec
    return isinstance(spec[0] if isinstance(spec, tuple) else spec, tf.RaggedTensorSpec)


def with_padded_inputs(data: tf.data.Dataset) -> tf.data.Dataset:
    """A data set of ragged inputs, padded within each batch."""
    is_tuple = isinstance(data.element_spec, tuple)
    if not is_tuple:
        return data.map(padded)
    return data.map(lambda x, *rest: (padded(x), *rest))
