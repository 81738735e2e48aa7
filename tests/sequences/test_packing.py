import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.sequences.packing import (
    cropped,
    packed,
    positions_in_segments,
    predictions_counted,
    segments,
    windows,
)


def documents(lengths, seed=0):
    draws = np.random.default_rng(seed)
    return [[1, *draws.integers(4, 50, length).tolist(), 2] for length in lengths]


def predictions(rows):
    """Every pair of a token and the one that it is predicted from, of rows."""
    counted = predictions_counted(tf.constant(rows)).numpy()
    return sorted(
        (int(a), int(b))
        for row, mask in zip(rows, counted)
        for a, b, kept in zip(row, row[1:], mask)
        if kept
    )


@pytest.mark.parametrize("context", [4, 7, 16, 100])
def test_every_token_is_predicted_once(context):
    given = documents([0, 1, 3, 5, 9, 40, 2, 2, 17, 33])
    rows = packed(given, context)
    assert rows.shape[1] == context + 1
    assert predictions(rows) == sorted(pair for each in given for pair in itertools.pairwise(each))


def test_short_documents_share_rows():
    rows = packed(documents([3] * 40), 24)
    # Five tokens each: five of them in a row of 25.
    assert len(rows) == 8
    assert (rows != 0).all()


def test_documents_of_a_row_are_told_apart():
    row = tf.constant([[7, 8, 1, 4, 2, 1, 5, 0, 0]])
    assert segments(row).numpy().tolist() == [[0, 0, 1, 1, 1, 2, 2, -1, -1]]
    assert positions_in_segments(row).numpy()[0, :7].tolist() == [0, 1, 0, 1, 2, 0, 1]
    counted = predictions_counted(row).numpy().tolist()
    assert counted == [[True, False, True, True, False, True, False, False]]


def test_windows_hold_the_stream_and_each_of_its_windows():
    stream = np.arange(4, 104)
    rows = windows(stream, 8)
    assert rows.shape[1] == 17
    found = {tuple(row[at : at + 9]) for row in rows for at in range(9)}
    assert found == {tuple(stream[at : at + 9]) for at in range(len(stream) - 8)}


def test_crops_are_windows_at_uniform_places():
    rows = np.arange(17)[None].repeat(9, 0).astype("int32") + 4
    crops = cropped(tf.constant(rows), tf.constant(np.arange(9) / 9 + 0.01, tf.float32), 8).numpy()
    np.testing.assert_array_equal(crops, np.arange(9)[:, None] + np.arange(9) + 4)
    short = np.zeros((3, 17), "int32")
    short[:, :6] = 5
    crops = cropped(tf.constant(short), tf.constant([0.0, 0.5, 0.999]), 8).numpy()
    np.testing.assert_array_equal(crops, short[:, :9])
