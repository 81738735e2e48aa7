import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.sequences.wavenet.clips import entered_waves, whole_clips, windows


def clips(lengths):
    return whole_clips(
        entered_waves([np.linspace(0.1, 0.9, n).astype("float32") for n in lengths], "x", 100)
    )


def test_whole_clips():
    found = clips([3, 5])
    np.testing.assert_array_equal(found.counted, [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    np.testing.assert_array_equal(found.before[:, 0], [0, 0])
    np.testing.assert_array_equal(found.before[:, 1:], found.waves[:, :-1])
    np.testing.assert_array_equal(found.lengths, [3, 5])


def test_windows_are_pieces_of_their_clips():
    whole = clips([4, 9, 30])
    for uniform in (0.0, 0.31, 0.77, 0.9999):
        found = windows(whole, tf.fill([3], uniform), 10, 3)
        assert found.waves.shape == (3, 10)
        for row, begin in enumerate(found.begins.numpy()):
            length = whole.lengths.numpy()[row]
            inside = range(begin, min(length, begin + 10))
            places = np.arange(len(inside))
            np.testing.assert_array_equal(
                found.waves.numpy()[row, places], whole.waves.numpy()[row, inside]
            )
            np.testing.assert_array_equal(
                found.before.numpy()[row, places], whole.before.numpy()[row, inside]
            )
            expected = (np.arange(10) < len(inside)) & ((begin == 0) | (np.arange(10) >= 3))
            np.testing.assert_array_equal(found.counted.numpy()[row], expected)


def test_samples_count_about_equally_often():
    """Over all windows of a clip, the first samples and the last ones too."""
    count = 4000
    whole = whole_clips(entered_waves(np.full((count, 40), 0.5, "float32"), "x", 100))
    found = windows(whole, tf.constant((np.arange(count) + 0.5) / count, tf.float32), 10, 3)
    times = np.zeros(40)
    for begin, counted in zip(found.begins.numpy(), found.counted.numpy()):
        times[begin : begin + 10] += counted
    # What lies at the end alone is in few windows, as it is of any cut of windows that stay inside.
    inner = times[:33]
    assert inner.min() > 0.5 * inner.mean()
    assert times.min() > 0


@pytest.mark.parametrize("window", [5, 8])
def test_clips_that_fit_are_whole(window):
    whole = clips([3, 5])
    assert windows(whole, tf.zeros([2]), window, 2) is whole
