"""Frames of pitches as rows of tokens: a set of notes in one order, the highest first.

Every set has one such row, so the probabilities of rows are those of sets.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from keras_transgen.datasets.printable import printable

# No frame; what stands before a piece; no further note in this frame; the lowest pitch.
PADDING, START, END, FIRST = range(4)
_MIDI_PITCHES = 128


class NoteCodec(NamedTuple):
    """How pitches become tokens.

    Attributes:
        low: The lowest pitch.
        high: The highest pitch.
        max_notes: Most notes of a frame.
    """

    low: int
    high: int
    max_notes: int

    @property
    def size(self) -> int:
        """How many tokens there are."""
        return FIRST + self.high - self.low + 1

    @classmethod
    def of_range(cls, pitch_range: Any, max_notes: int) -> NoteCodec:
        """The codec of a range of pitches.

        Args:
            pitch_range: The lowest and the highest.
            max_notes: Most notes of a frame.

        Raises:
            ValueError: The range is none.
        """
        pair: Any = pitch_range if is_list(pitch_range) else ()
        whole = len(pair) == 2 and all(map(_is_whole, pair))
        if not whole or not 0 <= pair[0] <= pair[1] < _MIDI_PITCHES:
            raise ValueError(
                "pitch_range must be the lowest and the highest MIDI pitch, whole numbers from 0 "
                f"to 127. Received: pitch_range={printable(pitch_range, 80)}"
            )
        return cls(int(pair[0]), int(pair[1]), max_notes)

    def tokens(self, pieces: Any, name: str = "pieces") -> list[np.ndarray]:
        """Pieces as tokens, those of each frame from the highest pitch down, ends behind them.

        Args:
            pieces: A list of pieces, each a list of frames, each a list of MIDI pitches.
            name: What messages call them.

        Returns:
            int32 `[frames, max_notes]` of each piece.

        Raises:
            ValueError: There is no piece, one has no frame, or a pitch is no whole number or out
                of the range; or a frame has too many.
        """
        if not is_list(pieces) or not len(pieces):
            raise ValueError(
                f"{name} must be a list of pieces, each a list of frames, each a list of MIDI "
                "pitches: [[[60, 64], [], [62]]]. "
                f"Received: {name}={printable(pieces, 80)}"
            )
        return [self._piece(piece, f"{name}[{number}]") for number, piece in enumerate(pieces)]

    def _piece(self, piece: Any, name: str) -> np.ndarray:
        if not is_list(piece) or not len(piece):
            raise ValueError(
                "A piece is a list of at least one frame; a rest is an empty frame, [[]]. "
                f"Received: {name}={printable(piece, 80)}"
            )
        tokens = np.full((len(piece), self.max_notes), END, "int32")
        for number, frame in enumerate(piece):
            if not is_list(frame):
                raise ValueError(
                    "A frame is a list of the pitches that sound, and a piece a list of frames: "
                    "[[60, 64], [], [62]]; put one piece alone into a list. "
                    f"Received: {name}[{number}]={printable(frame, 80)}"
                )
            pitches = {self.checked(pitch, f"{name}[{number}]") for pitch in frame}
            if len(pitches) > self.max_notes:
                raise ValueError(
                    f"A frame has at most max_notes={self.max_notes} pitches: make the model with "
                    f"max_notes of at least {len(pitches)}. "
                    f"Received: {len(pitches)} in {name}[{number}]"
                )
            notes = sorted(pitches, reverse=True)
            tokens[number, : len(notes)] = np.array(notes, "int32") - self.low + FIRST
        return tokens

    def checked(self, pitch: Any, place: str) -> int:
        """A pitch, or an error.

        Args:
            pitch: What the user gave.
            place: Where it stands.

        Raises:
            ValueError: It is no whole number, or out of the range.
        """
        if not _is_whole(pitch):
            raise ValueError(
                "A pitch must be a whole number, of MIDI: 60 is the middle C. "
                f"Received: {pitch!r} in {place}"
            )
        if not self.low <= pitch <= self.high:
            raise ValueError(
                f"Pitches must be from {self.low} to {self.high}: transpose the piece, or make the "
                f"model with another pitch_range. Received: {int(pitch)} in {place}"
            )
        return int(pitch)

    def frames(self, tokens: np.ndarray) -> list[list[int]]:
        """Tokens as frames, each a list of pitches from the lowest up.

        Args:
            tokens: Ints `[frames, max_notes]`.
        """
        return [
            [int(note) - FIRST + self.low for note in frame[::-1] if note >= FIRST]
            for frame in tokens
        ]


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def is_list(value: Any) -> bool:
    """Whether something holds things of a known number, and is no text.

    Args:
        value: What the user gave.
    """
    return (
        isinstance(value, Iterable)
        and hasattr(value, "__len__")
        and not isinstance(value, (str, bytes, dict))
    )
