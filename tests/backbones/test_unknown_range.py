"""Whoever maps images to a network's range says it where nobody knows the range."""

import warnings

import keras
import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.backbones import KerasBackbone, MultiScaleFeatures
from keras_transgen.evaluation import FeatureExtractor, SampleQuality

UNKNOWN = "Nobody knows which range of values"


def network(*first):
    layers = [keras.layers.Conv2D(4, 3, name="conv"), keras.layers.GlobalAveragePooling2D()]
    return keras.Sequential([keras.Input((8, 8, 3)), *first, *layers], name="small")


def told(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(each.message) for each in caught if UNKNOWN in str(each.message)]


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("make", [FeatureExtractor, SampleQuality])
def test_metrics_say_it_once_and_take_it_as_an_argument(make, wrapped):
    backbone = KerasBackbone(network()) if wrapped else network()
    assert not told(lambda: make(backbone, "small", backbone_range=(0.0, 255.0)))
    (message,) = told(lambda: make(backbone, "small"))
    assert "backbone_range=(0, 255)" in message
    assert not told(lambda: make(backbone, "small"))
    # Nobody trained these on anything.
    for free in (keras.layers.Flatten(name="pixels"), lambda images: images):
        assert not told(lambda free=free: make(free, "free"))
    pixels = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    assert not told(lambda: make(pixels, "pixels"))


def test_a_plain_model_is_asked_for_its_first_rescaling():
    images = np.random.default_rng(0).uniform(size=(3, 8, 8, 3)).astype("float32")
    model = network(keras.layers.Rescaling(1 / 255))
    assert not told(lambda: FeatureExtractor(model))
    (features,) = FeatureExtractor(model).batches(images)
    np.testing.assert_allclose(features, model(images * 255.0), atol=1e-4)


@pytest.mark.parametrize("make", [MultiScaleFeatures, ktg.PerceptualLoss], ids=["features", "loss"])
def test_feature_maps_say_it_once_and_a_file_does_not(make):
    backbone = KerasBackbone(network())
    (message,) = told(lambda: make(backbone, ["conv"]))
    assert "KerasBackbone(model, value_range=(0, 255))" in message
    assert not told(lambda: make(backbone, ["conv"]))
    assert not told(lambda: make(KerasBackbone(network(), value_range=(0, 255)), ["conv"]))
    assert not told(lambda: make("digits", value_range=(0.0, 1.0)))
