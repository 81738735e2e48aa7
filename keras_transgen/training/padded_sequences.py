"""Sequences of several lengths as one array and their lengths, on their way through `fit`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.training.batch_assertions import own_words, stop_unless

# The keys of a dict that no network's inputs are likely to have.
_VALUES, _LENGTHS = "padded sequences", "sequence lengths"


class Masked(NamedTuple):
    """Prepared sequences and which of their positions count."""

    values: Any
    mask: Any


def is_padded(x: Any) -> bool:
    """Whether data are what `padded` gives."""
    return isinstance(x, dict) and set(x) == {_VALUES, _LENGTHS}


def padded(ragged: Any, name: str = "x") -> dict[str, Any]:
    """Ragged sequences as an array with zeros (or empty words) behind their ends, and lengths.

    Args:
        ragged: A `tf.RaggedTensor` `[batch, length, ...]`, whose lengths alone differ. In the graph
            of a data set, an empty sequence ends the iteration.
        name: What messages call it.

    Raises:
        ValueError: More than the lengths differ, or a sequence is empty.
    """
    if ragged.ragged_rank != 1:
        raise ValueError(
            "Examples may differ in their first dimension alone, their length: give a list of "
            "arrays, or tf.RaggedTensor.from_row_lengths(values, lengths). "
            f"Received: a ragged tensor of shape {ragged.shape.as_list()}"
        )
    lengths = ragged.row_lengths()
    is_empty = tf.equal(lengths, 0)
    count, first = tf.math.count_nonzero(is_empty), tf.argmax(is_empty)
    expected = "Every sequence must have at least one element. Received: "
    if tf.executing_eagerly() and int(count):
        raise ValueError(f"{expected}{count} empty ones in {name}, the first in row {first}")
    said = f"{expected}{{}} empty ones in a batch of {name}, the first in its row {{}}"
    with tf.control_dependencies(stop_unless(tf.equal(count, 0), said, count, first)):
        lengths = tf.identity(lengths)
    return {_VALUES: ragged.to_tensor(), _LENGTHS: lengths}


def ragged(x: dict[str, Any]) -> tf.RaggedTensor:
    """The sequences of which `padded` made an array."""
    return tf.RaggedTensor.from_tensor(x[_VALUES], x[_LENGTHS])


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


def sequences_of(x: dict[str, Any]) -> np.ndarray:
    """The array of what `padded` gave, `[count, length, ...]`."""
    return np.asarray(x[_VALUES])


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
        data: Gives `x`, `(x, y)` or `(x, y, sample_weight)`, `x` as `padded` makes it.

    Raises:
        ValueError: A sequence is empty, or there is none.
    """
    sequences: list[np.ndarray] = []
    others: list[tuple] = []
    with own_words(data):
        for batch in data:
            x, *rest = batch if isinstance(batch, tuple) else (batch,)
            values, lengths = np.asarray(x[_VALUES]), np.asarray(x[_LENGTHS])
            sequences += [row[:length] for row, length in zip(values, lengths)]
            others.append(tuple(map(np.asarray, rest)))
    if not sequences:
        raise ValueError("There must be at least one example. Received: a data set without one")
    lengths = np.array([len(each) for each in sequences])
    whole = np.zeros((len(sequences), lengths.max(), *sequences[0].shape[1:]), sequences[0].dtype)
    for row, sequence in zip(whole, sequences):
        row[: len(sequence)] = sequence
    y, sample_weight, *_ = (*(_of_one_width(each) for each in zip(*others)), None, None)
    return {_VALUES: whole, _LENGTHS: lengths}, y, sample_weight


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
