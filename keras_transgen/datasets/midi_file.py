"""Read and write music as MIDI files, through mido, an extra of the package."""

from __future__ import annotations

import importlib
import io
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from keras_transgen.datasets.file_content import file_content
from keras_transgen.datasets.printable import printable
from keras_transgen.datasets.whole_file import write_whole

# A message is three bytes in the file, and hundreds in memory.
MAX_BYTES = 2**21
MAX_FRAMES = 100_000
_PITCHES = 128
# mido reads numbers of any length, in quadratic time; the format's have four bytes.
_LONG_NUMBER = re.compile(rb"[\x80-\xff]{1024}")
# General MIDI's drums, whose numbers are instruments and no pitches.
_DRUMS = 9
# A note sounds in a frame if it does an eighth of the frame behind its beginning: what is played a
# little early or late belongs to the beat that was meant, and what begins between beats does not.
_LATE = 8
_TICKS_PER_BEAT = 480
_MICROSECONDS_PER_MINUTE = 60_000_000


def read_midi(
    path: str | Path,
    frames_per_beat: int = 1,
    *,
    max_frames: int = MAX_FRAMES,
    max_bytes: int = MAX_BYTES,
) -> list[list[int]]:
    """The pitches of a MIDI file, frame by frame: what models of music learn from.

    Notes of all tracks and channels together, without the drums (channel 10), velocities, tempo and
    instruments. A pitch is in a frame if it sounds an eighth of the frame after its beginning. A
    note that nobody ends sounds to the end of its track. Needs `pip install keras-transgen[music]`.

    Args:
        path: The file (`.mid`).
        frames_per_beat: Frames of a quarter note. Defaults to 1; 4 gives sixteenths.
        max_frames: Most frames. Defaults to 100,000.
        max_bytes: Most bytes of the file. Defaults to 2 MiB.

    Returns:
        A list of frames, each a sorted list of MIDI pitches (60 is the middle C); a rest is an
        empty list.

    Raises:
        ImportError: If mido is not installed.
        FileNotFoundError: If there is no such file.
        ValueError: If it is no MIDI file, damaged, without a note, timed in seconds instead of
            beats, too long, or an argument is out of its range.

    Example:
        ```python no-run
        from keras_transgen.datasets import read_midi, write_midi

        frames = read_midi("chorale.mid")
        write_midi("an_octave_lower.mid", [[pitch - 12 for pitch in frame] for frame in frames])
        ```
    """
    _check_frames_per_beat(frames_per_beat)
    mido = _mido()
    content = file_content(path, max_bytes, "read_midi")
    try:
        if _LONG_NUMBER.search(content):
            raise ValueError("a number of a thousand bytes")
        midi = mido.MidiFile(file=io.BytesIO(content))
    except Exception as error:
        # Whatever mido stumbles over, of which it declares no list.
        raise ValueError(
            f"Expected a whole MIDI file. Received: {printable(path)} ({printable(error) or 'end'})"
        ) from error
    if midi.ticks_per_beat <= 0 or midi.type not in (0, 1):
        raise ValueError(
            "Expected a MIDI file of type 0 or 1 that is timed in beats. Received: "
            f"{printable(path)} of type {midi.type} with division {midi.ticks_per_beat}"
        )

    def frame_of(tick: int) -> int:
        """The first frame of which that tick is no more than an eighth gone."""
        late = midi.ticks_per_beat
        return max(0, -((late - _LATE * frames_per_beat * tick) // (_LATE * late)))

    notes: list[tuple[int, int, int]] = []
    end = 0
    for track in midi.tracks:
        last = sum(message.time for message in track)
        end = max(end, last)
        notes += _notes(track, last)
    count = frame_of(end)
    if isinstance(max_frames, bool) or not isinstance(max_frames, int) or max_frames < 1:
        raise ValueError(
            f"Expected max_frames as a whole number from 1 up. Received: max_frames={max_frames!r}"
        )
    if count > max_frames:
        raise ValueError(
            f"Expected at most max_frames={max_frames:,}; give more where memory allows, or fewer "
            f"frames_per_beat. Received: {printable(path)} with more"
        )
    if not notes or not count:
        raise ValueError(f"Expected a MIDI file with notes. Received: none in {printable(path)}")
    # By what begins and ends in each frame: no note costs more than another.
    change = np.zeros((count + 1, _PITCHES), "int32")
    for pitch, start, stop in notes:
        change[frame_of(start), pitch] += 1
        change[frame_of(stop), pitch] -= 1
    sounding = np.cumsum(change[:-1], axis=0) > 0
    return [np.flatnonzero(frame).tolist() for frame in sounding]


def write_midi(
    path: str | Path,
    frames: Sequence[Sequence[int]],
    frames_per_beat: int = 1,
    *,
    tempo: float = 90.0,
    program: int = 0,
    velocity: int = 64,
) -> None:
    """Write frames of pitches as a MIDI file, beside the path and moved into place.

    A pitch that is in consecutive frames is one long note; which voice sang it is not known.
    `read_midi` gives the frames back. Needs `pip install keras-transgen[music]`.

    Args:
        path: The file; one that is there is replaced.
        frames: The pitches of each frame, 0 to 127; an empty frame is a rest.
        frames_per_beat: Frames of a quarter note. Defaults to 1.
        tempo: Beats per minute. Defaults to 90.
        program: Instrument of General MIDI, from 0. Defaults to 0, a piano.
        velocity: How hard notes are struck, 1 to 127. Defaults to 64.

    Raises:
        ImportError: If mido is not installed.
        ValueError: If there are no frames, a pitch is none, or an argument is out of its range.

    Example:
        ```python no-run
        from keras_transgen.datasets import write_midi

        write_midi("cadence.mid", [[60, 64, 67], [59, 62, 67], [60, 64, 67]])
        ```
    """
    _check_frames_per_beat(frames_per_beat)
    if not 4 <= tempo <= 1000 or not 0 <= program < 128 or not 1 <= velocity < 128:
        raise ValueError(
            "Expected a tempo from 4 to 1000, a program from 0 to 127 and a velocity from 1 to "
            f"127. Received: tempo={tempo}, program={program}, velocity={velocity}"
        )
    pitches = [_pitches(frame, number) for number, frame in enumerate(frames)]
    if not pitches:
        raise ValueError("Expected frames. Received: none")
    mido = _mido()
    per_frame = max(1, _TICKS_PER_BEAT // frames_per_beat)
    midi = mido.MidiFile(type=0, ticks_per_beat=per_frame * frames_per_beat)
    track = mido.MidiTrack()
    midi.tracks.append(track)
    track.append(mido.MetaMessage("set_tempo", tempo=round(_MICROSECONDS_PER_MINUTE / tempo)))
    track.append(mido.Message("program_change", program=program))
    passed = 0
    sounding: set[int] = set()
    for each in [*pitches, set()]:
        changes = [("note_off", pitch) for pitch in sorted(sounding - each)]
        changes += [("note_on", pitch) for pitch in sorted(each - sounding)]
        for kind, pitch in changes:
            track.append(mido.Message(kind, note=pitch, velocity=velocity, time=passed))
            passed = 0
        sounding = each
        passed += per_frame
    # The last frame, which is none, has no length.
    track.append(mido.MetaMessage("end_of_track", time=passed - per_frame))
    write_whole(os.fspath(path), midi.save)


def _notes(track: Any, last: int) -> Iterator[tuple[int, int, int]]:
    """Pitch, first and last tick of each note of a track."""
    begun: dict[tuple[int, int], list[int]] = defaultdict(list)
    tick = 0
    for message in track:
        tick += message.time
        if message.type not in ("note_on", "note_off") or message.channel == _DRUMS:
            continue
        starts = begun[message.channel, message.note]
        if message.type == "note_on" and message.velocity > 0:
            starts.append(tick)
        elif starts:
            # Which of several voices in unison ends is not said, and sounds the same.
            yield message.note, starts.pop(), tick
    for (_, pitch), starts in begun.items():
        yield from ((pitch, start, last) for start in starts)


def _pitches(frame: Sequence[int], number: int) -> set[int]:
    if not isinstance(frame, Iterable):
        raise ValueError(
            "Expected frames of MIDI pitches, each a list: [[60, 64], [], [62]]. "
            f"Received: {frame!r} as frame {number}"
        )
    given = list(frame)
    for pitch in given:
        whole = isinstance(pitch, int | np.integer) and not isinstance(pitch, bool)
        if not whole or not 0 <= pitch < _PITCHES:
            raise ValueError(
                "Expected MIDI pitches, whole numbers from 0 to 127, and empty frames for rests. "
                f"Received: {pitch!r} in frame {number}"
            )
    return {int(pitch) for pitch in given}


def _check_frames_per_beat(frames_per_beat: int) -> None:
    if not isinstance(frames_per_beat, int) or not 1 <= frames_per_beat <= _TICKS_PER_BEAT:
        raise ValueError(
            f"Expected frames_per_beat as a whole number from 1 to {_TICKS_PER_BEAT}. "
            f"Received: frames_per_beat={frames_per_beat!r}"
        )


def _mido() -> ModuleType:
    try:
        return importlib.import_module("mido")
    except ModuleNotFoundError as error:
        raise ImportError(
            "Expected mido, for MIDI files. Install the extra 'music': "
            f"pip install 'keras-transgen[music]'. Received: {error}"
        ) from error
