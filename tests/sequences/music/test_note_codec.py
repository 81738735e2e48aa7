import numpy as np
import pytest

from keras_transgen.sequences.music.melodies import melody_tokens
from keras_transgen.sequences.music.note_codec import NoteCodec

CODEC = NoteCodec.of_range((60, 72), 3)


def test_frames_are_written_from_the_highest_note_down():
    (tokens,) = CODEC.tokens([[[60, 72, 64], [], [64, 64], (np.int64(61),)]])
    assert tokens.tolist() == [[15, 7, 3], [2, 2, 2], [7, 2, 2], [4, 2, 2]]
    assert tokens.dtype == "int32"
    assert CODEC.size == 16


def test_a_set_has_one_row_of_tokens_and_comes_back():
    draws = np.random.default_rng(0)
    frames = [draws.choice(np.arange(60, 73), draws.integers(0, 4), False) for _ in range(50)]
    (tokens,) = CODEC.tokens([frames])
    (turned,) = CODEC.tokens([[frame[::-1] for frame in frames]])
    np.testing.assert_array_equal(tokens, turned)
    assert CODEC.frames(tokens) == [sorted(frame.tolist()) for frame in frames]


def test_melodies_leave_open_what_is_below():
    (tokens,) = melody_tokens([[60, None, 72]], CODEC)
    assert tokens.tolist() == [[3, 0, 0], [0, 0, 0], [15, 0, 0]]


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        ([], "a list of pieces.*Received: pieces="),
        ("abc", "a list of pieces"),
        (7, "a list of pieces.*pieces=7"),
        ([[]], r"at least one frame; a rest is an empty frame.*pieces\[0\]"),
        ([[[60]], []], r"at least one frame.*pieces\[1\]"),
        ([[60, 64]], r"put one piece alone into a list.*pieces\[0\]\[0\]=60"),
        ([[[60], None]], r"A frame is a list.*pieces\[0\]\[1\]=None"),
        ([[[60.5]]], r"whole number.*60\.5 in pieces\[0\]\[0\]"),
        ([[[60.0]]], "whole number"),
        ([[["c"]]], "whole number.*'c'"),
        ([[[True]]], "whole number"),
        ([[[60], [61, 73]]], r"from 60 to 72: transpose.*pitch_range.*73 in pieces\[0\]\[1\]"),
        ([[[59]]], "from 60 to 72.*59"),
        ([[[60, 61, 62, 63]]], r"at most max_notes=3.*at least 4.*pieces\[0\]\[0\]"),
    ],
)
def test_what_is_no_piece(pieces, message):
    with pytest.raises(ValueError, match=message):
        CODEC.tokens(pieces)


@pytest.mark.parametrize(
    ("melodies", "message"),
    [
        ([], "a list of melodies"),
        (None, "a list of melodies"),
        ([60, 61], r"put one alone into a list.*melodies\[0\]=60"),
        ([[]], r"at least one.*melodies\[0\]"),
        ([[60, 59]], r"from 60 to 72.*59 in melodies\[0\]\[1\]"),
        ([[60.0]], "whole number"),
        ([[[60]]], "whole number"),
    ],
)
def test_what_is_no_melody(melodies, message):
    with pytest.raises(ValueError, match=message):
        melody_tokens(melodies, CODEC)


@pytest.mark.parametrize("given", [(60,), (60, 59), (-1, 5), (0, 128), (0.0, 5), 60, "ab", None])
def test_what_is_no_range(given):
    with pytest.raises(ValueError, match=r"pitch_range must be.*Received: pitch_range="):
        NoteCodec.of_range(given, 3)
