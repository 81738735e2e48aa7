"""Pieces as rows of one array, and the windows that a training step cuts of them.

A row begins with what stands before its first frame, a start or an earlier frame, and holds beside
the tokens of each frame its place in the piece.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_transgen.sequences.music.note_codec import PADDING, START

# Pieces that are not trained on are read in rows of at most so many contexts.
_EVALUATED = 8


def piece_rows(pieces: Sequence[np.ndarray], context_length: int, training: bool) -> np.ndarray:
    """Pieces as rows; of one that is longer than a context windows are cut by `cropped`.

    Every window of a piece can be cut from some row. Without training, a row holds up to eight
    contexts, and every frame is in one row.

    Args:
        pieces: Tokens `[frames, max_notes]` of each.
        context_length: Frames of a window.
        training: Whether they are trained on.

    Returns:
        int32 `[rows, frames + 1, max_notes + 1]`, padded; the last column holds places.
    """
    rows = []
    for piece in pieces:
        whole = with_start(piece)
        length = len(whole) - 1
        if not training:
            step = _EVALUATED * context_length
            rows += [whole[at : at + step + 1] for at in range(0, length, step)]
        elif length <= context_length:
            rows.append(whole)
        else:
            width = 2 * context_length
            last = max(0, length - width)
            starts = [*range(0, last, context_length), last]
            rows += [whole[at : at + width + 1] for at in starts]
    found = np.full((len(rows), max(map(len, rows)), rows[0].shape[1]), PADDING, "int32")
    for each, row in zip(found, rows):
        each[: len(row)] = row
    return found


def with_start(piece: np.ndarray) -> np.ndarray:
    """A piece as a row: the start in front, and places beside its tokens.

    Args:
        piece: Tokens `[frames, max_notes]`.

    Returns:
        int32 `[frames + 1, max_notes + 1]`.
    """
    tokens = np.concatenate([np.full((1, piece.shape[1]), START, "int32"), piece])
    # The start has no place of its own.
    places = np.maximum(np.arange(len(tokens)) - 1, 0)
    return np.concatenate([tokens, places[:, None].astype("int32")], axis=1)


def present(rows: tf.Tensor) -> tf.Tensor:
    """Which frames of rows are there, the first of each included, bool `[batch, frames + 1]`."""
    return rows[:, :, 0] != PADDING


def frames_counted(rows: tf.Tensor) -> tf.Tensor:
    """How many frames of rows are predicted, a float32 scalar."""
    return tf.reduce_sum(tf.cast(present(rows)[:, 1:], tf.float32))


def cropped(rows: tf.Tensor, uniform: tf.Tensor, context_length: int) -> tf.Tensor:
    """A window of each row that is longer than the context, and the others as they are.

    Args:
        rows: What `piece_rows` gave.
        uniform: `[batch]` in [0, 1), which says where windows begin.
        context_length: Frames of a window.

    Returns:
        int32 `[batch, context_length + 1, max_notes + 1]`.
    """
    if rows.shape[1] is not None and rows.shape[1] <= context_length + 1:
        return rows
    filled = tf.reduce_sum(tf.cast(present(rows), tf.int32), axis=1)
    windows = tf.maximum(filled - context_length, 1)
    begin = tf.cast(uniform * tf.cast(windows, tf.float32), tf.int32)
    return tf.gather(rows, begin[:, None] + tf.range(context_length + 1), batch_dims=1)
