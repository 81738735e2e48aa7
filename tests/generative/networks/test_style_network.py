"""Normalization by style against NumPy, and the network around it."""

import numpy as np
import pytest

from keras_transgen.generative.networks.style_network import style_network
from keras_transgen.generative.networks.style_normalization import ConditionalInstanceNormalization
from tests.harness import LAYER_CHECKS, LayerCase

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(2.0, 3.0, (12, 4, 5, 3)).astype("float32")
MIXTURE = RNG.uniform(size=(12, 2)).astype("float32")


@pytest.mark.parametrize("check", LAYER_CHECKS[:3])
def test_layer(check, tools):
    check(
        LayerCase(
            make=lambda: ConditionalInstanceNormalization(2),
            inputs=[FEATURES, MIXTURE],
        ),
        tools,
    )


def test_each_image_is_normalised_and_stretched_by_its_own_mixture():
    layer = ConditionalInstanceNormalization(2, epsilon=1e-5)
    layer.build([FEATURES.shape, MIXTURE.shape])
    scale, offset = RNG.normal(size=(2, 2, 3)).astype("float32")
    layer.scale.assign(scale)
    layer.offset.assign(offset)
    mean = FEATURES.mean(axis=(1, 2), keepdims=True)
    deviation = np.sqrt(FEATURES.var(axis=(1, 2), keepdims=True) + 1e-5)
    scales, offsets = ((MIXTURE @ table)[:, None, None] for table in (scale, offset))
    expected = (FEATURES - mean) / deviation * scales + offsets
    np.testing.assert_allclose(layer([FEATURES, MIXTURE]), expected, rtol=1e-4, atol=1e-5)


def test_the_network_keeps_any_size_and_stays_in_its_range():
    network = style_network(channels=1, num_styles=2, filters=2, blocks=1, value_range=(0.0, 1.0))
    for height, width in ((8, 12), (16, 8)):
        images = RNG.uniform(size=(1, height, width, 1)).astype("float32")
        made = network([images, MIXTURE[:1]]).numpy()
        assert made.shape == (1, height, width, 1)
        assert 0.0 <= made.min() <= made.max() <= 1.0
