"""Pieces of music as piano rolls: pitches against time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_transgen.plotting.appearance import FAINT, LINE_COLOURS, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OCTAVE = 12
_MIDI_PITCHES = 128


def plot_piano_roll(
    pieces: Sequence[Sequence[Sequence[int]]],
    *,
    names: Sequence[str] | None = None,
    given: int = 0,
    frames_per_beat: int = 1,
    title: str | None = None,
) -> Figure:
    """A roll for each piece, one above the other, on the same pitches and times.

    A pitch in consecutive frames is one bar, as `datasets.write_midi` makes one note of it.

    Args:
        pieces: Each a list of frames, each a list of MIDI pitches.
        names: Of the pieces.
        given: So many first frames of each are in another colour, such as those that a model
            continued. Defaults to 0.
        frames_per_beat: Frames of a beat, for the axis. Defaults to 1.
        title: Of the figure.

    Returns:
        A Matplotlib figure.

    Raises:
        ValueError: If there is no piece or no note, a pitch is none, names are not as many as
            pieces, or a number is out of its range.

    Example:
        ```python
        from keras_transgen.plotting import plot_piano_roll

        figure = plot_piano_roll([[[60, 64, 67], [60, 65, 69], [60, 64, 67]]], names=["cadence"])
        ```
    """
    _check(pieces, names, given, frames_per_beat)
    pitches = [pitch for piece in pieces for frame in piece for pitch in frame]
    low, high = min(pitches) - 1, max(pitches) + 2
    longest = max(map(len, pieces)) / frames_per_beat
    figure = new_figure(8.2, (0.6 if title else 0.3) + 1.9 * len(pieces), title)
    rolls = figure.subplots(len(pieces), 1, squeeze=False)[:, 0]
    for number, (axes, piece) in enumerate(zip(rolls, pieces)):
        last = number == len(pieces) - 1
        tidy(
            axes,
            title=None if names is None else names[number],
            x_label="beats" if last else "",
            y_label="MIDI pitch",
            grid="none",
        )
        # The Cs, by which a roll is read.
        octaves = np.arange(-(-low // _OCTAVE) * _OCTAVE, high, _OCTAVE)
        axes.set_yticks(octaves + 0.5, [f"{each} (C{each // _OCTAVE - 1})" for each in octaves])
        axes.hlines(octaves, 0, longest, colors=FAINT, linewidth=0.8, zorder=0)
        for begin, length, pitch in _notes(piece, given):
            axes.broken_barh(
                [(begin / frames_per_beat, length / frames_per_beat)],
                (pitch + 0.1, 0.8),
                facecolors=LINE_COLOURS[1 if begin < given else 0],
            )
        axes.set_xlim(0, longest)
        axes.set_ylim(low, high)
    return figure


def _notes(piece: Sequence[Sequence[int]], given: int) -> list[tuple[int, int, int]]:
    """First frame, number of frames and pitch of each note; none goes beyond what is given."""
    found: list[tuple[int, int, int]] = []
    begun: dict[int, int] = {}
    for place, frame in enumerate([*piece, []]):
        sounding = {int(pitch) for pitch in frame}
        over = [p for p in begun if p not in sounding or (place == given and given)]
        for pitch in over:
            begin = begun.pop(pitch)
            found.append((begin, place - begin, pitch))
        for pitch in sorted(sounding - begun.keys()):
            begun[pitch] = place
    return sorted(found)


def _check(
    pieces: Sequence[Sequence[Sequence[int]]],
    names: Sequence[str] | None,
    given: int,
    frames_per_beat: int,
) -> None:
    try:
        pitches = [pitch for piece in pieces for frame in piece for pitch in frame]
    except TypeError:
        pitches = [-1]
    whole = all(
        isinstance(p, (int, np.integer)) and not isinstance(p, bool) and 0 <= p < _MIDI_PITCHES
        for p in pitches
    )
    if not pitches or not whole:
        raise ValueError(
            "Expected pieces, each a list of frames, each a list of MIDI pitches from 0 to 127, "
            f"with at least one note: [[[60, 64], [62]]]. Received: {str(pieces)[:80]}"
        )
    if names is not None and len(names) != len(pieces):
        raise ValueError(
            f"Expected a name for every piece. Received: {len(names)} names, {len(pieces)} pieces"
        )
    if given < 0 or frames_per_beat < 1:
        raise ValueError(
            "Expected given of at least 0 and frames_per_beat of at least 1. "
            f"Received: given={given}, frames_per_beat={frames_per_beat}"
        )
