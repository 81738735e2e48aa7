"""Documents as rows of tokens: several short ones in a row, a long one in several.

A row needs nothing beside it to tell its documents apart: each begins with the start token, and
padding follows the last one. What comes before the first start goes on from an earlier row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_transgen.sequences.token_codecs import PADDING, START
from keras_transgen.sequences.token_rows import same_length


def packed(documents: Sequence[Sequence[int]], context_length: int) -> np.ndarray:
    """Documents in as few rows as a simple packing finds (first fit, the longest first).

    Every token but the first of a document is predicted in exactly one row: the windows of a long
    document share one token, the last of the one being the first of the next.

    Args:
        documents: Tokens, each document with its start token in front.
        context_length: Most tokens that a model sees; a row has one more, the last prediction.

    Returns:
        int32 `[rows, context_length + 1]`, padded.
    """
    width = context_length + 1
    pieces = [
        document[at : at + width]
        for document in documents
        for at in range(0, max(len(document) - 1, 1), context_length)
    ]
    # Windows that go on have no start token, so nothing may stand before them.
    first = [each for each in pieces if each[0] != START]
    starting = sorted((each for each in pieces if each[0] == START), key=len, reverse=True)
    rows: list[list[int]] = [list(each) for each in first]
    # By the room that is left, the rows that have it.
    room: list[list[int]] = [[] for _ in range(width + 1)]
    for number, row in enumerate(rows):
        room[width - len(row)].append(number)
    for piece in starting:
        left = next((left for left in range(len(piece), width + 1) if room[left]), None)
        if left is None:
            rows.append(list(piece))
            number, left = len(rows) - 1, width
        else:
            number = room[left].pop()
            rows[number].extend(piece)
        room[left - len(piece)].append(number)
    return same_length(rows, width)


def windows(tokens: np.ndarray, context_length: int) -> np.ndarray:
    """A stream of tokens in rows from which each step cuts its own window (`cropped`).

    A row holds two windows, and begins where the second of the row before does: every window of the
    stream can be cut from some row.

    Args:
        tokens: Ints `[length]`, more than one.
        context_length: Most tokens that a model sees.

    Returns:
        int32 `[rows, 2 * context_length + 1]`; the last row ends with the stream.
    """
    width = 2 * context_length + 1
    if len(tokens) <= width:
        return same_length([tokens.tolist()], width)
    starts = [*range(0, len(tokens) - width, context_length), len(tokens) - width]
    return np.stack([tokens[at : at + width] for at in starts]).astype("int32")


def cropped(rows: tf.Tensor, uniform: tf.Tensor, context_length: int) -> tf.Tensor:
    """A window of each row of a stream.

    Args:
        rows: int32 `[batch, 2 * context_length + 1]`.
        uniform: `[batch]` in [0, 1), which says where the windows begin.
        context_length: Of the windows.

    Returns:
        int32 `[batch, context_length + 1]`.
    """
    filled = tf.reduce_sum(tf.cast(rows != PADDING, tf.int32), axis=1)
    places = tf.clip_by_value(filled - context_length, 1, context_length + 1)
    begin = tf.cast(uniform * tf.cast(places, tf.float32), tf.int32)
    indices = begin[:, None] + tf.range(context_length + 1)
    return tf.gather(rows, indices, batch_dims=1)


def segments(tokens: tf.Tensor) -> tf.Tensor:
    """To which document of its row each token belongs, int32 like `tokens`; -1 is padding.

    Args:
        tokens: `[batch, length]`.
    """
    return tf.where(tokens == PADDING, -1, tf.cumsum(tf.cast(tokens == START, tf.int32), axis=1))


def positions_in_segments(tokens: tf.Tensor) -> tf.Tensor:
    """The place of each token in its document, from 0 on, int32 like `tokens`.

    Args:
        tokens: `[batch, length]`.
    """
    length = tf.shape(tokens)[1]
    places = tf.range(length)
    starts = tf.where(tokens == START, places, 0)
    # For each token the latest start that is not behind it.
    latest = tf.where(places[None, :] <= places[:, None], starts[:, None, :], 0)
    return places - tf.reduce_max(latest, axis=2)


def predictions_counted(tokens: tf.Tensor) -> tf.Tensor:
    """Which tokens after the first of a row are predicted: those that go on with a document.

    Args:
        tokens: `[batch, length + 1]`.

    Returns:
        bool `[batch, length]`.
    """
    following = tokens[:, 1:]
    return (following != PADDING) & (following != START)
