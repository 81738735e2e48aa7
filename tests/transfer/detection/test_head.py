"""The head: a value for each point, in the order of the points, whatever the sizes of the maps."""

import keras
import numpy as np

from keras_transgen.transfer.detection.head import _enlarged, detection_head


def test_first_probabilities_and_shapes_of_odd_maps():
    shapes = [(5, 7, 3), (3, 4, 4), (2, 2, 5)]
    head = detection_head(shapes, num_classes=2, width=4, depth=1, centreness=True)
    maps = [np.random.default_rng(0).normal(size=(2, *shape)).astype("float32") for shape in shapes]
    found = head(maps).numpy()
    assert found.shape == (2, 35 + 12 + 4, 2 + 4 + 1)
    # Of every class one in a hundred, and boxes of four strides.
    np.testing.assert_allclose(1 / (1 + np.exp(-np.median(found[..., :2]))), 0.01, rtol=0.5)


def test_a_point_answers_for_its_own_place():
    """What changes in one corner of the finest map changes the points near it most."""
    shapes = [(16, 16, 2), (8, 8, 2)]
    head = detection_head(shapes, num_classes=1, width=4, depth=1)
    maps = [np.random.default_rng(1).normal(size=(1, *shape)).astype("float32") for shape in shapes]
    before = head(maps).numpy()[0, :256, 0].reshape(16, 16)
    maps[0][0, 2, 12] += 1.0
    change = np.abs(head(maps).numpy()[0, :256, 0].reshape(16, 16) - before)
    # Two convolutions of 3x3 reach two places; normalisation moves all others a little.
    near = change[0:5, 10:15]
    assert near.max() == change.max()
    assert near.mean() > 5 * np.median(change)


def test_maps_are_repeated_and_cut():
    x = np.arange(4, dtype="float32").reshape(1, 2, 2, 1)
    found = keras.ops.convert_to_numpy(_enlarged(keras.ops.convert_to_tensor(x), (3, 4)))
    assert found[0, ..., 0].tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3]]
