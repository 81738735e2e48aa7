"""Shapes of dense networks, hand-counted parameters, float32 ends."""

import keras
import numpy as np
import pytest

from keras_transgen.generative.networks import dense_decoder, dense_encoder


def test_encoder():
    network = dense_encoder((3, 2, 1), (5, 4), "tanh")
    assert network.output_shape == (None, 4)
    assert network.count_params() == 6 * 5 + 5 + 5 * 4 + 4


@pytest.mark.parametrize("shape", [(6,), (3, 2, 1)])
def test_decoder(shape):
    network = dense_decoder(2, shape, (5,))
    assert network.output_shape == (None, *shape)
    assert network.count_params() == 2 * 5 + 5 + 5 * 6 + 6


def test_parameters_are_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    network = dense_decoder(2, (3, 2, 1), (5,))
    assert network(np.zeros((1, 2), "float32")).dtype == "float32"
    assert network.layers[0].compute_dtype == "bfloat16"


def test_no_layers():
    with pytest.raises(ValueError, match=r"hidden_units=\(\)"):
        dense_encoder((4,), ())
    with pytest.raises(ValueError, match=r"hidden_units=\(0,\)"):
        dense_decoder(4, (4,), (0,))
