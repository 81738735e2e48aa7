"""Which layers see content and style, in what range and size, and what is too small for them."""

import keras
import numpy as np
import pytest

from keras_transgen.backbones import KerasBackbone
from keras_transgen.generative.translation.style_features import StyleFeatures
from tests.generative.translation.style_models import RNG, small_backbone


def test_features_and_gram_matrices_are_those_of_the_network():
    backbone = small_backbone()
    images = RNG.uniform(-1, 1, (2, 8, 8, 3)).astype("float32")
    features = StyleFeatures(backbone, ["second"], ["first"], (-1.0, 1.0))
    contents, grams = features(images)
    first = keras.Model(backbone.network.inputs[0], backbone.network.get_layer("first").output)
    # The network takes [0, 1].
    maps = first((images + 1) / 2).numpy()
    np.testing.assert_allclose(
        contents[0], backbone.network((images + 1) / 2), rtol=1e-4, atol=1e-6
    )
    expected = np.einsum("bhwc,bhwd->bcd", maps, maps) / np.prod(maps.shape[1:])
    np.testing.assert_allclose(grams[0], expected, rtol=1e-4, atol=1e-6)


def test_default_layers_are_the_last_of_each_scale():
    features = StyleFeatures("digits", image_size=(8, 8))
    assert features.content_layers == ["block3_a_relu"]
    assert features.style_layers == ["block2_b_relu", "block3_a_relu"]


def test_a_deep_network_is_not_read_to_its_end():
    layers = [
        keras.layers.Conv2D(1, 1, strides=2, name=f"down_{2**level}") for level in range(1, 7)
    ]
    backbone = KerasBackbone(keras.Sequential([keras.Input((128, 128, 3)), *layers]))
    features = StyleFeatures(backbone)
    assert features.content_layers == ["down_8"]
    assert features.style_layers == ["down_2", "down_4", "down_8", "down_16"]


def test_stays_frozen_and_apart_from_the_backbone_it_was_made_of():
    backbone = small_backbone(trainable=True)
    features = StyleFeatures(backbone, ["second"], ["first"])
    features.trainable = True
    assert features.trainable_weights == []
    images = RNG.uniform(size=(1, 8, 8, 3)).astype("float32")
    before = features(images)[0][0].numpy()
    for weight in backbone.trainable_weights:
        weight.assign(weight.value * 0)
    np.testing.assert_array_equal(features(images)[0][0], before)


def test_channels_are_brought_to_those_of_the_network():
    grey = RNG.uniform(size=(1, 8, 8, 1)).astype("float32")
    features = StyleFeatures(small_backbone(), ["second"], ["first"])
    np.testing.assert_array_equal(features.prepared(grey), np.repeat(grey, 3, axis=-1))
    colour = RNG.uniform(size=(1, 8, 8, 3)).astype("float32")
    prepared = StyleFeatures("digits", image_size=(8, 8)).prepared(colour)
    luma = colour @ np.array([0.2989, 0.5870, 0.1140])
    np.testing.assert_allclose(prepared[..., 0], luma, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=r"3 channels, or grey.*\(1, 8, 8, 2\)"):
        features.prepared(np.zeros((1, 8, 8, 2), "float32"))


def test_unknown_layers_are_refused_with_near_names():
    with pytest.raises(ValueError, match=r"second.*Received: \['secnod'\]"):
        StyleFeatures(small_backbone(), ["secnod"], ["first"])
    with pytest.raises(ValueError, match=r"style_layers=\[\]"):
        StyleFeatures(small_backbone(), ["second"], [])


def test_images_too_small_for_the_deepest_layer_are_refused():
    with pytest.raises(ValueError, match=r"1x1 places.*images of 4x4"):
        StyleFeatures(small_backbone(), ["first"], ["second"], image_size=(4, 4))
    with pytest.raises(ValueError, match="cannot see images of 2x2"):
        StyleFeatures(small_backbone("valid"), ["first"], ["second"], image_size=(2, 2))
    flat = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(name="flat")])
    with pytest.raises(ValueError, match=r"feature maps.*\(1, 192\)"):
        StyleFeatures(KerasBackbone(flat), ["flat"], ["flat"])


def test_a_style_of_a_single_place_is_refused():
    features = StyleFeatures(small_backbone(), ["first"], ["second"], image_size=(16, 16))
    features.check_style(8, 8)
    with pytest.raises(ValueError, match=r"one place in 4 pixels.*at least 8.*Received.*20x7"):
        features.check_style(20, 7)
