import json
import os
import struct
import sys

import mido
import pytest

from keras_transgen.datasets import read_midi, write_midi

PIECE = [[60, 64, 67], [60, 65, 69], [], [], [60, 65, 69], [59, 62, 67, 127], [0], []]


def saved(folder, *tracks, ticks_per_beat=480, kind=1):
    """A file of tracks, each a list of (ticks since the last, kind, pitch, velocity, channel)."""
    midi = mido.MidiFile(type=kind, ticks_per_beat=ticks_per_beat)
    for events in tracks:
        track = mido.MidiTrack()
        for time, message, note, velocity, channel in events:
            track.append(
                mido.Message(message, note=note, velocity=velocity, channel=channel, time=time)
            )
        midi.tracks.append(track)
    midi.save(folder / "a.mid")
    return folder / "a.mid"


def notes(*given, channel=0):
    """Events of notes (pitch, first tick, last tick)."""
    events = [(start, 1, pitch) for pitch, start, _ in given]
    events += [(end, 0, pitch) for pitch, _, end in given]
    made, last = [], 0
    for tick, on, pitch in sorted(events):
        made.append((tick - last, "note_on" if on else "note_off", pitch, 64, channel))
        last = tick
    return made


@pytest.mark.parametrize("frames_per_beat", [1, 4, 7, 480])
def test_what_was_written_is_read(tmp_path, frames_per_beat):
    write_midi(tmp_path / "a.mid", PIECE, frames_per_beat)
    assert read_midi(tmp_path / "a.mid", frames_per_beat) == PIECE
    assert os.listdir(tmp_path) == ["a.mid"]


def test_messages_by_hand(tmp_path):
    write_midi(tmp_path / "a.mid", [[60, 64], [60], [], [62]], 2, tempo=60, program=19, velocity=90)
    midi = mido.MidiFile(tmp_path / "a.mid")
    (track,) = midi.tracks
    assert midi.ticks_per_beat == 480
    said = [(m.time, m.type, m.note, m.velocity) for m in track if m.type.startswith("note")]
    assert said == [
        (0, "note_on", 60, 90),
        (0, "note_on", 64, 90),
        (240, "note_off", 64, 90),
        (240, "note_off", 60, 90),
        (240, "note_on", 62, 90),
        (240, "note_off", 62, 90),
    ]
    assert [m.tempo for m in track if m.type == "set_tempo"] == [1_000_000]
    assert [m.program for m in track if m.type == "program_change"] == [19]
    # Four half beats of a second each.
    assert midi.length == pytest.approx(2.0)


def test_tracks_and_channels_sound_together_without_drums(tmp_path):
    path = saved(
        tmp_path,
        notes((72, 0, 960)),
        notes((60, 480, 1440), channel=3),
        notes((36, 0, 1920), channel=9),
    )
    # The drums' track is as long as it is.
    assert read_midi(path) == [[72], [60, 72], [60], []]
    assert read_midi(path, 2) == [[72], [72], [60, 72], [60, 72], [60], [60], [], []]


@pytest.mark.parametrize("off", ["note_off", "note_on"])
def test_a_note_ends_by_either_message_and_voices_in_unison_apart(tmp_path, off):
    events = [
        (0, "note_on", 60, 64, 0),
        (0, "note_on", 60, 64, 0),
        (480, off, 60, 0, 0),
        (480, off, 60, 0, 0),
        # Nothing sounds that could end.
        (480, off, 60, 0, 0),
    ]
    assert read_midi(saved(tmp_path, events)) == [[60], [60], []]


def test_a_note_that_nobody_ends_sounds_to_the_end(tmp_path):
    path = saved(tmp_path, [(0, "note_on", 60, 64, 0), *notes((64, 480, 960))])
    assert read_midi(path) == [[60], [60, 64]]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 480, [[60], []]),
        # A sixteenth of the beat early or late.
        (30, 450, [[60], []]),
        (0, 510, [[60], []]),
        (450, 960, [[], [60]]),
        # Between the beats.
        (240, 480, [[], []]),
        (61, 480, [[], []]),
        (0, 61, [[60], []]),
        (0, 60, [[], []]),
    ],
)
def test_a_pitch_is_in_the_frames_where_it_sounds_an_eighth_behind_the_beginning(
    tmp_path, start, end, expected
):
    path = saved(tmp_path, [*notes((60, start, end))], notes((20, 0, 1)), notes((20, 959, 960)))
    found = read_midi(path)
    assert found == expected


def header(kind=1, tracks=1, division=480):
    return b"MThd" + struct.pack(">LHHH", 6, kind, tracks, division)


def chunk(content):
    return b"MTrk" + struct.pack(">L", len(content)) + content


NOTE = b"\0\x90\x3c\x40\x60\x80\x3c\x40\0\xff\x2f\0"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "whole MIDI file"),
        (b"RIFF" + bytes(20), "whole MIDI file.*MThd"),
        (header(), "whole MIDI file"),
        (header() + chunk(NOTE)[:-5], "whole MIDI file"),
        (header(tracks=2) + chunk(NOTE), "whole MIDI file"),
        (header() + chunk(b"\0\x3c\x40"), "whole MIDI file"),
        (header() + chunk(b"\0\x90\x3c\xf0"), "whole MIDI file"),
        (header() + chunk(b"\0\xff\x01\xff\xff\xff\x7f"), "whole MIDI file"),
        (header() + b"MTrk\0\0\0\x02" + NOTE, "whole MIDI file"),
        (header() + chunk(b"\xff" * 5000 + NOTE), "a thousand bytes"),
        (header(kind=2) + chunk(NOTE), "type 2"),
        (header(division=0) + chunk(NOTE), "division 0"),
        (header(division=0xE728) + chunk(NOTE), "timed in beats"),
        (header(tracks=0), "none in"),
        (header() + chunk(NOTE[-4:]), "none in"),
        (header() + chunk(b"\xff\xff\xff\x7f" + NOTE[1:]), "max_frames=100,000"),
        (header() + chunk(b"\xff" * 900 + b"\x7f" + NOTE[1:]), "max_frames=100,000"),
    ],
)
def test_broken_files_are_refused_by_name(tmp_path, content, message):
    (tmp_path / "broken.mid").write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read_midi(tmp_path / "broken.mid")
    assert "broken.mid" in str(error.value)
    assert len(str(error.value)) < 500


@pytest.mark.timeout(60)
def test_what_a_file_costs_is_bounded(tmp_path):
    # Notes that all sound to the end, of as many frames as there may be.
    on = b"\0\x90\x3c\x40" * 20_000
    (tmp_path / "a.mid").write_bytes(header() + chunk(on + b"\x80\x80\xb0\0\xff\x2f\0"))
    path = tmp_path / "a.mid"
    ticks = mido.MidiFile(path).tracks[0][-1].time
    assert read_midi(path, 480, max_frames=ticks) == [[60]] * ticks
    with pytest.raises(ValueError, match=f"max_frames={ticks - 1:,}"):
        read_midi(path, 480, max_frames=ticks - 1)
    for most in (None, 0, 2.5, True):
        with pytest.raises(ValueError, match="max_frames as a whole number"):
            read_midi(path, max_frames=most)
    with pytest.raises(ValueError, match="max_bytes=1,000"):
        read_midi(path, max_bytes=1000)


def test_arguments_are_checked(tmp_path):
    path = tmp_path / "a.mid"
    for frames_per_beat in (0, -1, 481, 1.0):
        with pytest.raises(ValueError, match="frames_per_beat as a whole number"):
            write_midi(path, PIECE, frames_per_beat)
        with pytest.raises(ValueError, match="frames_per_beat as a whole number"):
            read_midi(path, frames_per_beat)
    for pitch in (-1, 128, 60.0, True, "C"):
        with pytest.raises(ValueError, match=r"MIDI pitches.*in frame 1"):
            write_midi(path, [[60], [60, pitch]])
    with pytest.raises(ValueError, match="Expected frames"):
        write_midi(path, [])
    for options in ({"tempo": 0}, {"program": 128}, {"velocity": 0}, {"tempo": float("nan")}):
        with pytest.raises(ValueError, match="tempo from 4"):
            write_midi(path, PIECE, **options)
    assert not path.exists()
    with pytest.raises(FileNotFoundError):
        read_midi(path)


def test_without_mido_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mido", None)
    for call in (lambda: read_midi(tmp_path), lambda: write_midi(tmp_path / "a.mid", PIECE)):
        with pytest.raises(ImportError, match=r"pip install 'keras-transgen\[music\]'"):
            call()


@pytest.mark.slow
@pytest.mark.shared_data
def test_chorales(shared_folder, tmp_path):
    folder = shared_folder / "data/jsb_chorales"
    for name, frames_per_beat in (("quarter", 1), ("16th", 4)):
        pieces = json.loads((folder / f"jsb-chorales-{name}.json").read_text())["test"]
        for piece in pieces[:10]:
            frames = [[int(pitch) for pitch in frame if pitch >= 0] for frame in piece]
            write_midi(tmp_path / "a.mid", frames, frames_per_beat)
            expected = [sorted(set(frame)) for frame in frames]
            assert read_midi(tmp_path / "a.mid", frames_per_beat) == expected
            # By sixteenths, every fourth is a quarter.
            if frames_per_beat == 4:
                assert read_midi(tmp_path / "a.mid", 1) == expected[::4]
