"""Feature maps at several scales: what the network sees, and that it stays frozen."""

import keras
import numpy as np
import pytest

from keras_transgen.backbones import MultiScaleFeatures
from tests.fusion.small_networks import small_backbone
from tests.harness import (
    LayerCase,
    check_layer_config_round_trip,
    check_symbolic_equals_eager_shape,
)
from tests.training.models import NetworkModel

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0.0, 1.0, (4, 8, 8, 1)).astype("float32")


def test_the_last_layer_of_each_scale_is_taken():
    features = MultiScaleFeatures(small_backbone(), value_range=(0.0, 1.0))
    assert features.layer_names == ["half", "quarter_norm"]
    assert [each.shape for each in features(IMAGES)] == [(4, 4, 4, 3), (4, 2, 2, 4)]
    assert MultiScaleFeatures(small_backbone(), scales=1).layer_names == ["quarter_norm"]
    vector = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="does not say the sizes of its feature maps, or has none"):
        MultiScaleFeatures(vector)


def test_what_the_network_is_given():
    """Range, channels and size, each against NumPy."""
    features = MultiScaleFeatures(small_backbone(3), ["half"], value_range=(-3.0, 1.0))
    shown = np.asarray(features.prepared(4.0 * IMAGES - 3.0))
    np.testing.assert_allclose(shown, IMAGES.repeat(3, axis=-1), atol=1e-6)
    double = RNG.uniform(0.0, 1.0, (2, 16, 16, 3)).astype("float32")
    means = double.reshape(2, 8, 2, 8, 2, 3).mean((2, 4))
    np.testing.assert_allclose(features.prepared(4.0 * double - 3.0), means, atol=1e-6)
    # A size that is no divisor, linear between pixels: a constant stays one.
    odd = features.prepared(np.full((1, 11, 11, 3), -1.0, "float32"))
    np.testing.assert_allclose(odd, np.full((1, 8, 8, 3), 0.5), atol=1e-6)
    pixels = np.array([[[[0]], [[255]]]], "uint8")
    raw = MultiScaleFeatures(small_backbone(), ["half"], value_range=(0.0, 255.0))
    assert np.asarray(raw.prepared(pixels.repeat(4, 2).repeat(8, 1))).max() == pytest.approx(1.0)


def test_another_size_of_the_network():
    features = MultiScaleFeatures(small_backbone(), ["half"], (0.0, 1.0), image_size=(16, 12))
    (maps,) = features(RNG.uniform(0, 1, (2, 16, 12, 1)).astype("float32"))
    assert maps.shape == (2, 8, 6, 3)


def test_the_backbone_is_copied():
    backbone = small_backbone()
    features = MultiScaleFeatures(backbone, ["half"], value_range=(0.0, 1.0))
    before = np.asarray(features(IMAGES)[0])
    np.testing.assert_allclose(before, backbone.tap(["half"])(IMAGES)[0], rtol=1e-5)
    backbone.set_weights([np.zeros_like(value) for value in backbone.get_weights()])
    np.testing.assert_allclose(features(IMAGES)[0], before, rtol=1e-6)


def classifier(trainable):
    image = keras.Input((8, 8, 1))
    features = MultiScaleFeatures(
        small_backbone(), value_range=(0.0, 1.0), trainable=trainable, name="features"
    )
    x = keras.layers.Flatten()(features(image)[-1])
    model = NetworkModel(keras.Model(image, keras.layers.Dense(2)(x)))
    model.compile(
        keras.optimizers.SGD(0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    return model, features


@pytest.mark.parametrize("trainable", [False, True])
def test_frozen_stays_frozen_in_a_model_that_is_set_trainable(trainable):
    model, features = classifier(trainable)
    model.trainable = False
    assert not model.trainable_weights
    model.trainable = True
    assert len(model.trainable_weights) == (8 if trainable else 2)
    before = {weight.path: weight.numpy() for weight in features.weights}
    # Far from the moving statistics, so that a step in training mode would move them.
    model.fit(5.0 + IMAGES, np.arange(4) % 2, batch_size=2, epochs=2, verbose=0)
    for weight in features.weights:
        moved = not np.array_equal(before[weight.path], weight.numpy())
        assert moved == (trainable and "moving" not in weight.path), weight.path


@pytest.mark.parametrize(
    "check", [check_layer_config_round_trip, check_symbolic_equals_eager_shape]
)
def test_layer(check, tools):
    check(LayerCase(make=lambda: MultiScaleFeatures(small_backbone()), inputs=IMAGES), tools)
