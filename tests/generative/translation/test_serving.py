"""Exported translations make the images that the model makes."""

import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.generative.translation import Downscaling
from tests.generative.translation.style_models import small_backbone, stripes
from tests.generative.translation.test_cyclegan import judge, translator
from tests.served import on_device, served

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(-1, 1, (3, 8, 8, 1)).astype("float32")


def test_pix2pix(tmp_path):
    model = ktg.Pix2Pix((8, 8, 1), filters=2)
    model.export(tmp_path / "saved")
    expected = model.predict(IMAGES, verbose=0)
    made = served(tmp_path / "saved", inputs=IMAGES)["images"]
    np.testing.assert_allclose(made, expected, atol=1e-5)
    model.export(tmp_path / "model.tflite", format="litert")
    made = on_device(tmp_path / "model.tflite", "translate", inputs=IMAGES)["images"]
    np.testing.assert_allclose(made, expected, atol=1e-4)


def test_cyclegan_both_ways(tmp_path):
    networks = (translator(1, 3), translator(3, 1), judge(1), judge(3))
    model = ktg.CycleGAN((8, 8, 1), (8, 8, 3), *networks)
    model.export(tmp_path)
    made = served(tmp_path, "a_to_b", inputs=IMAGES)["images"]
    np.testing.assert_allclose(made, model.a_to_b(IMAGES), atol=1e-5)
    back = served(tmp_path, "b_to_a", inputs=made)["images"]
    np.testing.assert_allclose(back, model.b_to_a(made), atol=1e-5)
    with pytest.raises(ValueError, match=r"such as tf.TensorSpec\(\[None, 8, 8, 3\]"):
        model.export(tmp_path / "other", input_signature=tf.TensorSpec([None, 8, 8, 1]))


def test_cyclegan_of_bytes(tmp_path):
    model = ktg.CycleGAN((8, 8, 1), (8, 8, 1), *2 * (translator(1, 1),), *2 * (judge(1),))
    model.export(tmp_path, input_signature=tf.TensorSpec([None, 8, 8, 1], tf.uint8))
    images = RNG.integers(0, 256, (2, 8, 8, 1)).astype("uint8")
    made = served(tmp_path, "b_to_a", inputs=images)["images"]
    np.testing.assert_allclose(made, model.b_to_a(images), atol=1e-5)


def test_enhancer(tmp_path):
    model = ktg.Enhancer((8, 8, 1), Downscaling(2), filters=2, blocks=1)
    small = model.degrade(np.abs(IMAGES))
    model.export(tmp_path)
    made = served(tmp_path, "enhance", inputs=small)["images"]
    np.testing.assert_allclose(made, model.enhance(small), atol=1e-5)


def test_style_of_another_size(tmp_path):
    layers = {"content_layers": ["second"], "style_layers": ["first"], "filters": 2, "blocks": 1}
    model = ktg.StyleTransfer(stripes(), small_backbone(), image_shape=(8, 8, 3), **layers)
    images = RNG.uniform(size=(2, 10, 14, 3)).astype("float32")
    model.export(tmp_path)
    style = np.ones(1, "float32")
    made = served(tmp_path, "stylize", inputs=images, style=style)["images"]
    np.testing.assert_allclose(made, model.stylize(images), atol=1e-5)
