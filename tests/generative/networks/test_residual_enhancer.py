"""The residual enhancer: its layers against NumPy, its start, and what it refuses."""

import keras
import numpy as np
import pytest

from keras_transgen.generative.networks.residual_enhancer import SubPixels, residual_enhancer

RNG = np.random.default_rng(0)


def test_sub_pixels_are_laid_out_as_the_paper_says():
    """By NumPy: out[y, x, c] = in[y // r, x // r, channel of the place in the square]."""
    values = RNG.normal(size=(2, 3, 4, 18)).astype("float32")
    squares = values.reshape(2, 3, 4, 3, 3, 2)
    expected = squares.transpose(0, 1, 3, 2, 4, 5).reshape(2, 9, 12, 2)
    np.testing.assert_array_equal(SubPixels(3)(values), expected)


def test_a_mask_limits_what_may_change():
    network = residual_enhancer((6, 6, 2), (6, 6, 1), 4, 1, mask_range=(-1.0, 1.0))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(network))
    given = RNG.uniform(-1, 1, (1, 6, 6, 2)).astype("float32")
    given[..., 1] = -1.0
    given[0, 2:4, 2:4, 1] = 1.0
    np.testing.assert_array_equal(network(given), given[..., :1])
    last = [layer for layer in again.layers if isinstance(layer, keras.layers.Conv2D)][-1]
    last.bias.assign([0.25])
    change = np.asarray(again(given)) - given[..., :1]
    np.testing.assert_allclose(change[0, :, :, 0], np.where(given[0, ..., 1] > 0, 0.25, 0.0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((8, 8, 1), (8, 8, 3)), r"keeps an image's channels.*\(8, 8, 1\)"),
        (((8, 8, 3), (12, 12, 3)), "whole number of times larger"),
        (((8, 8, 3), (16, 16, 3), 0), "filters=0"),
        (((8, 8, 3), (8, 8, 3), 4, 1, (0.0, 1.0)), r"where there is a mask.*\(8, 8, 3\)"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        residual_enhancer(*arguments)
