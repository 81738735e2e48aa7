"""Alignment of a flow's inner features with a network's: by hand, and what it leaves alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.backbones import KerasBackbone
from keras_transgen.backbones.multi_scale_features import MultiScaleFeatures
from keras_transgen.generative.flow.alignment import FeatureAlignment, grid_of, network_with_tap
from keras_transgen.generative.networks.flow_unet import flow_unet
from keras_transgen.generative.networks.patch_transformer import patch_transformer
from tests.generative.flow.flow_models import small_network

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(-1, 1, (6, 8, 8, 1)).astype("float32")


def features(size=4) -> MultiScaleFeatures:
    network = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Conv2D(3, 8 // size, strides=8 // size, name="map")]
    )
    backbone = KerasBackbone(network, value_range=(-1.0, 1.0))
    return MultiScaleFeatures(backbone, ["map"], (-1.0, 1.0))


def test_distance_by_hand():
    alignment = FeatureAlignment(features(), hidden=5)
    alignment.build_for((16, 4), (8, 8, 1))
    inner = RNG.normal(size=(6, 16, 4)).astype("float32")
    clean = np.asarray(alignment.features_of(IMAGES))
    # A convolution of stride 2 is a matrix on blocks.
    kernel, offset = (w.numpy() for w in alignment.features.weights)
    blocks = IMAGES.reshape(6, 4, 2, 4, 2).transpose(0, 1, 3, 2, 4).reshape(6, 4, 4, 4)
    np.testing.assert_allclose(clean, blocks @ kernel.reshape(4, 3) + offset, atol=1e-5)

    x = inner
    for place, layer in enumerate(alignment.projection):
        x = x @ layer.kernel.numpy() + layer.bias.numpy()
        x = x if place == 2 else x / (1 + np.exp(-x))
    wanted = clean.reshape(6, 16, 3)
    lengths = np.linalg.norm(x, axis=-1) * np.linalg.norm(wanted, axis=-1)
    expected = 1 - ((x * wanted).sum(-1) / lengths).mean(-1)
    np.testing.assert_allclose(alignment([inner, clean]), expected, atol=1e-3)
    # As a map of 4x4 instead of 16 places.
    np.testing.assert_allclose(alignment([inner.reshape(6, 4, 4, 4), clean]), expected, atol=1e-3)


def test_maps_of_another_size_are_resized_to_the_places():
    alignment = FeatureAlignment(features(2), hidden=5)
    alignment.build_for((4, 4, 4), (8, 8, 1))
    inner = RNG.normal(size=(6, 4, 4, 4)).astype("float32")
    clean = alignment.features_of(IMAGES)
    large = tf.image.resize(clean, (4, 4))
    np.testing.assert_allclose(alignment([inner, clean]), alignment([inner, large]), atol=1e-6)


@pytest.mark.slow
def test_it_is_weighed_in_the_loss_and_moves_the_network_and_the_projection():
    losses = {}
    for weight in (0.0, 0.5):
        keras.utils.set_random_seed(1)
        flow = ktg.FlowMatching(
            network=small_network(),
            align_with=features(),
            alignment_weight=weight,
            align_layer="active",
            seed=0,
        )
        losses[weight] = flow.evaluate(IMAGES, verbose=0, return_dict=True)
    assert losses[0.5]["alignment"] == pytest.approx(losses[0.0]["alignment"], rel=1e-5)
    assert losses[0.5]["loss"] == pytest.approx(
        losses[0.0]["loss"] + 0.5 * losses[0.0]["alignment"], rel=1e-5
    )
    before = {w.path: w.numpy() for w in flow.weights}
    flow.fit(IMAGES, epochs=2, verbose=0)
    moved = {w.path for w in flow.weights if not np.array_equal(before[w.path], w.numpy())}
    assert {w.path for layer in flow.alignment.projection for w in layer.weights} <= moved
    assert not {w.path for w in flow.alignment.features.weights} & moved
    # What is sampled and averaged is the network alone.
    assert len(flow.average.averages) == len(flow.network.weights)


def test_inner_layers():
    tapped = network_with_tap(flow_unet((16, 16, 1), width=4), None)
    assert tapped.outputs[1].shape == (None, 8, 8, 8)
    transformer = patch_transformer((8, 8, 1), width=8, depth=6)
    for weight in transformer.weights:
        # Blocks begin as nothing.
        weight.assign(RNG.normal(0.0, 0.3, weight.shape))
    tapped = network_with_tap(transformer, None)
    inputs = [IMAGES, np.full(6, 0.5, "float32")]
    second = keras.Model(transformer.inputs, transformer.get_layer("block_1").output)
    np.testing.assert_allclose(tapped(inputs)[1], second(inputs), atol=1e-4)
    np.testing.assert_allclose(tapped(inputs)[0], transformer(inputs), atol=1e-4)
    third = network_with_tap(transformer, "block_2")
    assert not np.allclose(third(inputs)[1], tapped(inputs)[1])
    assert grid_of((18, 4), (8, 16, 1)) == (3, 6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alignment_weight": -1.0}, "from 0 up.*alignment_weight=-1"),
        ({"align_layer": "middle"}, "goes with align_with"),
        ({"align_with": "digits", "align_layer": "no such"}, "align_layer='no such'"),
        ({"align_with": "digits", "align_layer": "time_map"}, "vector for each place"),
        ({"align_with": "digits", "example_shape": (4,)}, "leave it out for other examples"),
        (
            {"align_with": MultiScaleFeatures("digits", value_range=(0.0, 1.0))},
            r"range of values.*value_range=\(0.0, 1.0\)",
        ),
    ],
)
def test_what_cannot_be_aligned_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ktg.FlowMatching(**{"example_shape": (8, 8, 1), "width": 4, **settings})
