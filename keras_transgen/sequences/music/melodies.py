"""Melodies as frames whose highest note is given."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_transgen.datasets.printable import printable
from keras_transgen.sequences.music.note_codec import FIRST, PADDING, NoteCodec, is_list


def melody_tokens(melodies: Any, codec: NoteCodec) -> list[np.ndarray]:
    """Melodies as tokens that leave the notes below them open.

    Args:
        melodies: A list of melodies, each a list with a pitch or `None` for each frame.
        codec: Of the model.

    Returns:
        int32 `[frames, max_notes]` of each.

    Raises:
        ValueError: There is no melody, one is empty, or a pitch is none or out of the range.
    """
    if not is_list(melodies) or not len(melodies):
        raise ValueError(
            "melodies must be a list of melodies, each a list with one pitch or None a frame: "
            f"[[67, None, 65]]. Received: melodies={printable(melodies, 80)}"
        )
    return [_tokens(melody, f"melodies[{row}]", codec) for row, melody in enumerate(melodies)]


def _tokens(melody: Any, name: str, codec: NoteCodec) -> np.ndarray:
    if not is_list(melody) or not len(melody):
        raise ValueError(
            "A melody is a list with one pitch or None for each frame, at least one; put one alone "
            f"into a list. Received: {name}={printable(melody, 80)}"
        )
    tokens = np.full((len(melody), codec.max_notes), PADDING, "int32")
    for place, pitch in enumerate(melody):
        if pitch is not None:
            tokens[place, 0] = codec.checked(pitch, f"{name}[{place}]") - codec.low + FIRST
    return tokens
