"""The decoder that grows through a backbone's sizes."""

import keras
import numpy as np
import pytest

from keras_transgen.fusion import scale_decoder
from keras_transgen.fusion.decoding_by_scale import enlarging


def levels(decoder):
    """Sizes and channels of the convolutions' outputs."""
    return [
        tuple(layer.output.shape[1:])
        for layer in decoder.layers
        if isinstance(layer, keras.layers.Conv2D)
    ]


def test_sizes_and_channels_are_the_backbones():
    shapes = [(14, 14, 24), (7, 7, 40), (4, 4, 96)]
    decoder = scale_decoder(8, (28, 28, 3), shapes, widest=64)
    # At most 64, 32, 16 from coarse to fine, and no more than the backbone has.
    assert levels(decoder) == [(4, 4, 64), (7, 7, 32), (14, 14, 16), (28, 28, 16), (28, 28, 3)]
    assert decoder.input_shape == (None, 8)


def test_maps_not_smaller_than_the_image_are_left_out():
    decoder = scale_decoder(2, (8, 6, 1), [(8, 8, 5), (4, 3, 9)])
    assert levels(decoder) == [(4, 3, 9), (8, 6, 16), (8, 6, 1)]
    assert levels(scale_decoder(2, (8, 6, 1), [(8, 8, 5)]))[0] == (2, 2, 5)


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"feature_shapes=\[\(4, 4\)\]"):
        scale_decoder(2, (8, 8, 1), [(4, 4)])
    with pytest.raises(ValueError, match="latent_dim at least 1"):
        scale_decoder(0, (8, 8, 1), [(4, 4, 2)])


def test_whole_factors_repeat_pixels_and_others_interpolate():
    maps = np.random.default_rng(0).normal(size=(1, 2, 2, 3)).astype("float32")
    expected = maps.repeat(2, axis=1).repeat(3, axis=2)
    np.testing.assert_array_equal(enlarging((2, 2), (4, 6))(maps), expected)
    assert enlarging((2, 2), (3, 4))(maps).shape == (1, 3, 4, 3)
