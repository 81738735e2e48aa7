"""VGG's input against Keras' own preprocessing."""

import keras
import numpy as np
import pytest

from keras_transgen.generative.translation.vgg import VGGInput, vgg_backbone


def test_input_is_what_keras_applications_prepare():
    images = np.random.default_rng(0).uniform(size=(2, 3, 4, 3)).astype("float32")
    expected = keras.applications.vgg19.preprocess_input(255.0 * images)
    np.testing.assert_allclose(VGGInput()(images), expected, rtol=1e-5, atol=1e-3)


@pytest.mark.slow
def test_layers_have_their_names_and_any_size_is_taken():
    backbone = vgg_backbone(16)
    assert "block4_conv2" in backbone.layer_names()
    tapped = backbone.tap(["block1_conv1", "block2_conv1"], (32, 48))
    shapes = tapped.compute_output_shape((1, 32, 48, 3))
    assert shapes == [(1, 32, 48, 64), (1, 16, 24, 128)]
    first = tapped(np.full((1, 32, 48, 3), 0.5, "float32"))[0].numpy()
    again = backbone.network.get_layer("block1_conv1")(
        keras.applications.vgg16.preprocess_input(np.full((1, 32, 48, 3), 127.5, "float32"))
    )
    np.testing.assert_allclose(first, again, rtol=1e-4, atol=1e-3)


def test_there_are_two_depths():
    with pytest.raises(ValueError, match="depth=11"):
        vgg_backbone(11)
