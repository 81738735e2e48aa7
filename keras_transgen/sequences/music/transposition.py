"""Pieces in other keys: all pitches some semitones higher or lower."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from keras_transgen.sequences.music.note_codec import FIRST


def checked_steps(transpose: Any) -> tuple[int, int]:
    """The least and the most semitones of a transposition.

    Args:
        transpose: Both, or one number for as many down as up.

    Raises:
        ValueError: They are no whole numbers, or nothing lies between them.
    """
    given = transpose if isinstance(transpose, (tuple, list)) else (transpose, transpose)
    whole = all(isinstance(e, (int, np.integer)) and not isinstance(e, bool) for e in given)
    if len(given) == 2 and whole:
        one = not isinstance(transpose, (tuple, list))
        least, most = (-int(given[0]) if one else int(given[0])), int(given[1])
        if least <= 0 <= most:
            return least, most
    raise ValueError(
        "transpose must be a number of semitones, for as many down as up, or the least (0 or "
        f"below) and the most (0 or above): (-5, 6). Received: transpose={transpose!r}"
    )


def transposed(rows: tf.Tensor, uniform: tf.Tensor, steps: tuple[int, int], size: int) -> tf.Tensor:
    """Rows in other keys, each by a number of semitones that leaves all its pitches in the range.

    Args:
        rows: int32 `[batch, frames + 1, max_notes + 1]`.
        uniform: `[batch]` in [0, 1), which says by how many.
        steps: The least and the most of them.
        size: How many tokens there are.
    """
    tokens, places = rows[:, :, :-1], rows[:, :, -1:]
    notes = tokens >= FIRST
    lowest = tf.reduce_min(tf.where(notes, tokens, size - 1), axis=[1, 2])
    highest = tf.reduce_max(tf.where(notes, tokens, FIRST), axis=[1, 2])
    least = tf.maximum(steps[0], FIRST - lowest)
    most = tf.minimum(steps[1], size - 1 - highest)
    choices = tf.cast(most - least + 1, tf.float32)
    # Where the range leaves no choice, as it is.
    step = tf.where(most < least, 0, least + tf.cast(uniform * choices, tf.int32))
    return tf.concat([tf.where(notes, tokens + step[:, None, None], tokens), places], axis=2)
