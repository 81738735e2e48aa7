"""Convolutional networks for images of every size."""

import keras
import numpy as np
import pytest

from keras_transgen.generative.networks import convolutional_decoder, convolutional_encoder


@pytest.mark.parametrize(
    "shape", [(4, 4, 1), (8, 8, 1), (28, 28, 1), (9, 31, 3), (65, 64, 3), (5, 100, 1)]
)
def test_every_size(shape):
    encoder = convolutional_encoder(shape, base_filters=2, hidden_units=6)
    decoder = convolutional_decoder(3, (*shape[:2], 4), base_filters=2, hidden_units=6)
    assert encoder(np.zeros((2, *shape), "float32")).shape == (2, 6)
    assert decoder(np.zeros((2, 3), "float32")).shape == (2, *shape[:2], 4)


def test_layers_of_28():
    encoder = convolutional_encoder((28, 28, 1), base_filters=4)
    shapes = [layer.output.shape[1:] for layer in encoder.layers[:3]]
    assert shapes == [(14, 14, 4), (7, 7, 8), (4, 4, 16)]


def test_parameters_are_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    network = convolutional_decoder(2, (8, 8, 1), 2, 4)
    assert network(np.zeros((1, 2), "float32")).dtype == "float32"


@pytest.mark.parametrize("shape", [(3, 8, 1), (8, 2, 3), (8, 8), (8, 8, 0)])
def test_sizes_that_cannot_be_made(shape):
    with pytest.raises(ValueError, match=r"at least 4x4.*dense_encoder"):
        convolutional_encoder(shape)
    with pytest.raises(ValueError, match="at least 4x4"):
        convolutional_decoder(2, shape)
