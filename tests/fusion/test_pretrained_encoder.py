"""A backbone as a VAE's encoder: its features by NumPy, what trains, what it refuses."""

import keras
import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.fusion import PretrainedEncoder
from tests.fusion.small_networks import small_backbone
from tests.harness import (
    LayerCase,
    check_layer_config_round_trip,
    check_symbolic_equals_eager_shape,
)

IMAGES = np.random.default_rng(0).uniform(0, 1, (6, 8, 8, 1)).astype("float32")


def encoder(**kwargs):
    return PretrainedEncoder(small_backbone(), channels=3, **kwargs)


def test_features_by_numpy():
    layer = PretrainedEncoder(small_backbone(), image_size=(24, 24), channels=3)
    images = IMAGES.repeat(3, axis=1).repeat(3, axis=2)
    found = np.asarray(layer(images))
    assert layer.feature_shapes == [(12, 12, 3), (6, 6, 4)]
    maps = [np.asarray(each) for each in layer.features(images)]
    # 12 to 4 and 6 to 3 positions: means of 3x3 and of 2x2.
    pooled = [
        maps[0].reshape(6, 4, 3, 4, 3, 3).mean((2, 4)),
        maps[1].reshape(6, 3, 2, 3, 2, 4).mean((2, 4)),
    ]
    weights = [w.numpy() for w in layer.weights if "scale_" in w.path]
    expected = [
        np.maximum(part @ kernel[0, 0] + bias, 0.0).reshape(6, -1)
        for part, kernel, bias in zip(pooled, weights[::2], weights[1::2], strict=True)
    ]
    np.testing.assert_allclose(found, np.concatenate(expected, axis=1), atol=1e-5)
    assert layer.compute_output_shape((None, 24, 24, 1)) == (None, (16 + 9) * 3)


def trained_weights(**kwargs):
    """Names of the backbone's parameters that a VAE moves."""
    layer = encoder(**kwargs)
    vae = ktg.VAE((8, 8, 1), 2, encoder=layer, seed=0)
    vae.compile(keras.optimizers.Adam(0.01), run_eagerly=True, jit_compile=False)
    before = {weight.path: weight.numpy() for weight in layer.backbone.weights}
    vae.fit(IMAGES, batch_size=6, epochs=2, verbose=0)
    return {
        weight.path
        for weight in layer.backbone.weights
        if not np.array_equal(before[weight.path], weight.numpy())
    }


@pytest.mark.slow
def test_partly_and_wholly_tuned():
    # Frozen as a whole: see PretrainedVAE's default.
    last = {"quarter/kernel", "quarter/bias", "quarter_norm/gamma", "quarter_norm/beta"}
    assert trained_weights(trainable=True, freeze_to=0) == last
    assert trained_weights(trainable=True) == last | {"half/kernel", "half/bias"}


def test_how_far_it_is_frozen_survives_a_config():
    again = PretrainedEncoder.from_config(encoder(trainable=True, freeze_to=0).get_config())
    assert again.backbone.frozen_to == 0
    assert sorted(weight.path for weight in again.backbone.trainable_weights) == [
        "quarter/bias",
        "quarter/kernel",
        "quarter_norm/beta",
        "quarter_norm/gamma",
    ]


@pytest.mark.parametrize(
    "check", [check_layer_config_round_trip, check_symbolic_equals_eager_shape]
)
def test_layer(check, tools):
    check(LayerCase(make=encoder, inputs=IMAGES), tools)


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"trainable=True. Received: freeze_to=0"):
        encoder(freeze_to=0)
    with pytest.raises(ValueError, match=r"at least 1. Received: channels=0"):
        PretrainedEncoder(small_backbone(), channels=0)
    with pytest.raises(ValueError, match="group must be one of"):
        encoder(trainable=True, freeze_to="block_9")
    with pytest.raises(ValueError, match="must give feature maps"):
        encoder(layers=["pooled"]).build((None, 8, 8, 1))
