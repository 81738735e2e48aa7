"""Reflection padding against NumPy's."""

import numpy as np

from keras_transgen.generative.networks.reflection_padding import ReflectionPadding2D


def test_edges_mirror_the_inside():
    images = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype("float32")
    expected = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
    layer = ReflectionPadding2D(2)
    np.testing.assert_array_equal(layer(images), expected)
    assert layer.compute_output_shape((None, None, 5, 3)) == (None, None, 9, 3)
