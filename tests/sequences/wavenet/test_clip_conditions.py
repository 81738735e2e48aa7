import numpy as np

from keras_transgen.sequences.wavenet.clip_conditions import ClipConditions


def test_places_are_interpolated_as_numpy_does():
    layer = ClipConditions(2, 4, num_classes=3, num_speakers=2)
    known = np.array([[2, 0], [1, 1]])
    times, lengths = np.array([[0, 3, 7, 12], [0, 3, 7, 12]]), np.array([10, 20])
    found = layer(known, times, lengths).numpy()
    tables = [table.numpy() for table in layer.tables]
    for row in range(2):
        table = tables[0][known[row, 0]] + tables[1][known[row, 1]]
        place = np.minimum(times[row] / lengths[row], 1.0) * 3
        for channel in range(2):
            expected = np.interp(place, np.arange(4), table[:, channel])
            np.testing.assert_allclose(found[row, :, channel], expected, rtol=1e-4, atol=1e-6)


def test_frames_are_stretched_between_their_middles():
    layer = ClipConditions(2, 1, features=3, samples_per_frame=4)
    layer.tables[0].assign(np.zeros((1, 1, 2)))
    frames = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    # The second clip has two frames; what stands behind them belongs to nobody.
    lengths, times = np.int32([20, 7]), np.tile(np.arange(20, dtype="int32"), (2, 1))
    found = layer(frames, times, lengths).numpy()
    vectors = layer.projection(frames).numpy()
    for row, count in ((0, 5), (1, 2)):
        middles = 4 * np.arange(count) + 1.5
        for channel in range(2):
            expected = np.interp(times[row], middles, vectors[row, :count, channel])
            np.testing.assert_allclose(found[row, :, channel], expected, rtol=1e-4, atol=1e-5)


def test_without_anything_known_all_clips_are_told_the_same():
    layer = ClipConditions(3, 2)
    found = layer(None, np.array([[0, 5], [0, 5]]), np.array([10, 10])).numpy()
    table = layer.tables[0].numpy()[0]
    np.testing.assert_allclose(found[0], [table[0], table.mean(axis=0)], rtol=1e-5)
    np.testing.assert_array_equal(found[0], found[1])
