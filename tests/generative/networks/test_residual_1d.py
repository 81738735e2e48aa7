"""The residual networks for sequences of symbols."""

import numpy as np
import pytest

from keras_transgen.generative.networks.residual_1d import (
    residual_1d_discriminator,
    residual_1d_generator,
)


def test_rows_are_probabilities():
    generator = residual_1d_generator((6, 4), 3, 2, blocks=1)
    made = generator(9 * np.random.default_rng(0).normal(size=(5, 3))).numpy()
    assert made.shape == (5, 6, 4)
    assert made.min() >= 0.0
    np.testing.assert_allclose(made.sum(-1), 1.0, rtol=1e-6)


def test_parameters_are_those_of_the_paper():
    """Dense, 5 blocks of two convolutions of width 5, a convolution to symbols or from them."""
    length, symbols, width, latent = 7, 4, 3, 2
    blocks = 5 * 2 * (5 * width * width + width)
    ends = (latent + 1) * length * width + (width + 1) * symbols
    assert residual_1d_generator((length, symbols), latent, width).count_params() == blocks + ends
    ends = (symbols + 1) * width + length * width + 1
    assert residual_1d_discriminator((length, symbols), width).count_params() == blocks + ends


def test_a_block_adds_three_tenths():
    critic = residual_1d_discriminator((3, 2), 1, blocks=1)
    kernels = [np.zeros(weight.shape, "float32") for weight in critic.get_weights()]
    kernels[0][:] = 1.0  # Each symbol counts one.
    kernels[1][:] = 0.0
    kernels[2][2] = kernels[4][2] = 1.0  # The middle of the width: identity.
    kernels[6][:] = 1.0
    critic.set_weights(kernels)
    one_hot = np.eye(2, dtype="float32")[[[0, 1, 1]]]
    np.testing.assert_allclose(critic(one_hot), [[3 * 1.3]], rtol=1e-6)


@pytest.mark.parametrize("shape", [(6, 1), (6, 0), (0, 4), (6,), (6, 4, 1)])
def test_shapes_of_no_symbols(shape):
    with pytest.raises(ValueError, match=r"one-hot vectors.*Received"):
        residual_1d_generator(shape)
    with pytest.raises(ValueError, match="one-hot vectors"):
        residual_1d_discriminator(shape)
