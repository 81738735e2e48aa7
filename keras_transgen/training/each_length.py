"""Sequences of several lengths through a network that knows no padding: each length by itself."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.training.padded_sequences import lengths_of, sequences_of


def of_each_length(
    x: dict[str, Any],
    function: Callable[[np.ndarray], Any],
    joined: Callable[[Sequence[tuple[np.ndarray, np.ndarray]]], Any] | None = None,
    views: int = 1,
) -> Any:
    """What a function makes of sequences, one length at a time, so that no padding is seen.

    Args:
        x: What `padded` gave.
        function: Takes `[rows, length, ...]` and gives arrays `[rows * views, ...]`, in any
            structure. It is called for the short ones first.
        joined: Puts the parts, rows and their values, together. Defaults to `in_their_rows`.
        views: Rows that the function gives for each sequence, one after the other.

    Raises:
        ValueError: A sequence does not go through the network.
    """
    lengths = lengths_of(x)
    assert lengths is not None
    places, parts = [], []
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        sequences = sequences_of(x)[rows, :length]
        with _named_length(rows, sequences):
            parts.append(function(sequences))
        places.append((rows[:, None] * views + np.arange(views)).ravel())
    return keras.tree.map_structure(
        lambda *values: (joined or in_their_rows)(list(zip(places, values))), *parts
    )


@contextlib.contextmanager
def _named_length(rows: np.ndarray, sequences: np.ndarray) -> Iterator[None]:
    """Errors of a network on sequences of one length say which they are."""
    try:
        yield
    except (ValueError, tf.errors.InvalidArgumentError) as error:
        said = str(error)
        too_short = "Negative dimension" in said
        why = "they are too short for its layers" if too_short else said.split("\n")[0][:200]
        raise ValueError(
            f"Sequences of {sequences.shape[1]} elements cannot go through this network: {why}. "
            "Leave them out, or give all one length that it takes: pad or cut them. "
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


def ragged_in_their_rows(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> Any:
    """As `in_their_rows`, but values of positions, `[rows, length, ...]`, as a `tf.RaggedTensor`.

    Args:
        parts: Rows and their values.
    """
    if parts[0][1].ndim < 3:
        return in_their_rows(parts)
    count = sum(len(rows) for rows, _ in parts)
    found: list[Any] = [None] * count
    for rows, values in parts:
        for row, value in zip(rows, values):
            found[row] = value
    return tf.RaggedTensor.from_row_lengths(np.concatenate(found), [len(each) for each in found])
