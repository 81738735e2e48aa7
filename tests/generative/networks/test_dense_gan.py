"""The dense pair for vectors."""

import numpy as np
import pytest

from keras_transgen.generative.networks.dense_gan import dense_discriminator, dense_generator


def test_shapes_and_range():
    vectors = dense_generator(3, 5, (8,))(np.ones((4, 5)))
    assert vectors.shape == (4, 3)
    assert dense_discriminator(3, (8,))(vectors).shape == (4, 1)
    bounded = dense_generator(3, 5, (8,), value_range=(2.0, 4.0))(1e4 * np.ones((4, 5))).numpy()
    assert 2.0 <= bounded.min() <= bounded.max() <= 4.0


@pytest.mark.parametrize("conditioning", ["projection", "concatenation"])
def test_conditions_reach_the_logit(conditioning):
    network = dense_discriminator(3, (8,), 2, conditioning)
    one, other = (network([np.ones((1, 3)), np.full((1, 2), value)]) for value in (0.0, 1.0))
    assert np.abs(one - other).max() > 1e-4


def test_conditions_reach_the_vector():
    network = dense_generator(3, 5, (8,), embedding_dim=2)
    one, other = (network([np.ones((1, 5)), np.full((1, 2), value)]) for value in (0.0, 1.0))
    assert np.abs(one - other).max() > 1e-4
    modulated = dense_generator(3, 5, (8,), embedding_dim=2, conditioning="normalization")
    assert any("conditional" in layer.name for layer in modulated.layers)
