"""Tokens of several texts as rows of arrays, in few shapes, so that few programs are compiled."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_transgen.sequences.token_codecs import PADDING

ROWS_AT_A_TIME = 64
# Lengths are rounded up to multiples of it.
_LENGTHS = 16


def rounded(length: int) -> int:
    """A length, rounded up to one of few."""
    return _LENGTHS * math.ceil(length / _LENGTHS)


def same_length(rows: Sequence[Sequence[int]], length: int | None = None) -> np.ndarray:
    """Tokens of several texts as one array, padding behind their ends.

    Args:
        rows: Tokens.
        length: Of the array. Defaults to the longest row's.

    Returns:
        int32 `[count, length]`.
    """
    width = max(map(len, rows)) if length is None else length
    array = np.full((len(rows), width), PADDING, "int32")
    for row, tokens in zip(array, rows):
        row[: len(tokens)] = tokens
    return array


class Group(NamedTuple):
    """Rows that are computed together.

    Attributes:
        rows: Their numbers, int `[count]`.
        filled: The same, repeated up to a power of two.
        width: Length of the longest, rounded up.
    """

    rows: np.ndarray
    filled: np.ndarray
    width: int


def groups(lengths: Any) -> Iterator[Group]:
    """Rows by their lengths, those of similar lengths together, at most 64 in a group.

    Args:
        lengths: Of all rows, ints `[count]`.
    """
    lengths = np.asarray(lengths)
    order = np.argsort(lengths, kind="stable")
    for begin in range(0, len(order), ROWS_AT_A_TIME):
        rows = order[begin : begin + ROWS_AT_A_TIME]
        filled = np.resize(rows, 2 ** math.ceil(math.log2(len(rows))))
        yield Group(rows, filled, rounded(int(lengths[rows].max())))
