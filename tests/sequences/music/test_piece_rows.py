import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.sequences.music.note_codec import NoteCodec
from keras_transgen.sequences.music.piece_rows import cropped, frames_counted, piece_rows
from keras_transgen.sequences.music.transposition import checked_steps, transposed

CODEC = NoteCodec.of_range((0, 100), 2)


def numbered(*lengths):
    """Pieces whose frames are told apart by their only note, the number of the frame."""
    return CODEC.tokens([[[number] for number in range(length)] for length in lengths])


def test_short_pieces_are_rows_with_their_start_and_places():
    rows = piece_rows(numbered(3, 1), 4, training=True)
    assert rows.tolist() == [
        [[1, 1, 0], [3, 2, 0], [4, 2, 1], [5, 2, 2]],
        [[1, 1, 0], [3, 2, 0], [0, 0, 0], [0, 0, 0]],
    ]
    assert float(frames_counted(tf.constant(rows))) == 4


@pytest.mark.parametrize("length", [5, 8, 9, 12, 13, 30])
def test_every_window_of_a_long_piece_can_be_cut(length):
    rows = tf.constant(piece_rows(numbered(length), 4, training=True))
    seen = set()
    for uniform in np.linspace(0.0, 0.999, 40):
        windows = cropped(rows, tf.fill([rows.shape[0]], np.float32(uniform)), 4).numpy()
        assert windows.shape[1:] == (5, 3)
        for window in windows:
            notes, places = window[:, 0], window[:, 2]
            # What stands before the first frame is the start, or the frame before it.
            assert notes[0] == (1 if notes[1] == 3 else notes[1] - 1)
            assert (np.diff(notes[1:]) == 1).all()
            assert (places[1:] == notes[1:] - 3).all()
            seen.add(int(places[1]))
    assert seen == set(range(length - 3))


@pytest.mark.parametrize("length", [1, 32, 33, 70])
def test_without_training_every_frame_is_in_one_row(length):
    rows = piece_rows(numbered(length), 4, training=False)
    predicted = rows[:, 1:]
    assert sorted(predicted[predicted[:, :, 0] != 0][:, 2].tolist()) == list(range(length))
    assert rows.shape[1] <= 33
    for row in rows[1:]:
        assert row[0, 0] == row[1, 0] - 1


def test_transposed_by_every_step_that_the_range_allows():
    codec = NoteCodec.of_range((60, 72), 2)
    pieces = codec.tokens([[[62, 70], []], [[60, 72]], [[66]]])
    rows = tf.constant(piece_rows(pieces, 4, training=True))
    seen = [set(), set(), set()]
    for uniform in np.linspace(0.0, 0.999, 60):
        found = transposed(rows, tf.fill([3], np.float32(uniform)), (-5, 4), codec.size).numpy()
        np.testing.assert_array_equal(found[:, 0], rows[:, 0])
        np.testing.assert_array_equal(found[:, :, 2], rows[:, :, 2])
        for number, row in enumerate(found):
            there = rows.numpy()[number, :, :2] >= 3
            (step,) = {int(each) for each in (row[:, :2] - rows.numpy()[number, :, :2])[there]}
            np.testing.assert_array_equal(row[:, :2][~there], rows.numpy()[number, :, :2][~there])
            seen[number].add(step)
    assert seen == [set(range(-2, 3)), {0}, set(range(-5, 5))]


def test_a_rest_alone_can_be_transposed():
    codec = NoteCodec.of_range((60, 72), 2)
    rows = tf.constant(piece_rows(codec.tokens([[[], []]]), 4, training=True))
    found = transposed(rows, tf.constant([0.9]), (-5, 4), codec.size)
    np.testing.assert_array_equal(found, rows)


def test_steps():
    assert checked_steps(0) == (0, 0)
    assert checked_steps(3) == (-3, 3)
    assert checked_steps((-5, 6)) == checked_steps([-5, 6]) == (-5, 6)
    for given in (1.5, (1, 2), (-2, -1), (0,), None, "a", -3, True):
        with pytest.raises(ValueError, match="transpose must be a number of semitones"):
            checked_steps(given)
