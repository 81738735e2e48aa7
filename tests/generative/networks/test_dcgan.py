"""The convolutional networks: sizes, widths, conditions, the harness of layers."""

import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.generative.networks.dcgan import (
    dcgan_discriminator,
    dcgan_generator,
    halvings,
    widths,
)


@pytest.mark.parametrize(
    ("size", "count", "smallest"),
    [(2, 1, 1), (6, 1, 3), (8, 1, 4), (28, 2, 7), (32, 3, 4), (64, 4, 4), (96, 4, 6), (256, 6, 4)],
)
def test_halved_down_to_four_pixels_or_an_odd_size(size, count, smallest):
    assert halvings((size, size, 3)) == count
    assert size // 2**count == smallest


def test_widths_double_up_to_eight_times():
    assert widths((256, 256, 3), 4) == [4, 8, 16, 32, 32, 32]


@pytest.mark.parametrize("shape", [(7, 7, 1), (8, 12, 3), (8, 8), (1, 1, 1)])
def test_sizes_that_cannot_be_made(shape):
    with pytest.raises(ValueError, match="halved at least once"):
        dcgan_generator(shape)
    with pytest.raises(ValueError, match="halved at least once"):
        dcgan_discriminator(shape)


@pytest.mark.parametrize("size", [8, 28, 32, 64, 128, 256])
def test_from_latent_vectors_to_images_to_logits(size):
    generator = dcgan_generator((size, size, 3), 5, 1)
    images = generator(np.zeros((2, 5)))
    assert images.shape == (2, size, size, 3)
    assert dcgan_discriminator((size, size, 3), 1)(images).shape == (2, 1)


def test_default_is_the_published_network():
    """Channels of Radford et al.'s Figure 1 with half the width: 512, 256, 128, 64, 3."""
    generator = dcgan_generator()
    shapes = [layer.output.shape[1:] for layer in generator.layers if "transpose" in layer.name]
    assert shapes == [(8, 8, 256), (16, 16, 128), (32, 32, 64), (64, 64, 3)]
    assert generator.input_shape == (None, 128)


def test_values_stay_in_their_range():
    latent = 50 * np.random.default_rng(0).normal(size=(8, 5))
    images = dcgan_generator((8, 8, 1), 5, 4, value_range=(0.0, 2.0))(latent).numpy()
    assert 0.0 <= images.min() < 0.2
    assert 1.8 < images.max() <= 2.0


@pytest.mark.parametrize("conditioning", ["concatenation", "normalization"])
def test_the_condition_reaches_the_image(conditioning):
    generator = dcgan_generator((8, 8, 1), 5, 2, embedding_dim=3, conditioning=conditioning)
    for layer in generator.layers:
        # Modulation starts at zero, so let it speak.
        if "conditional" in layer.name:
            layer.scale.kernel.assign(tf.ones_like(layer.scale.kernel))
            layer.offset.kernel.assign(tf.ones_like(layer.offset.kernel))
    latent = np.ones((1, 5))
    one, other = (generator([latent, np.full((1, 3), value)]) for value in (0.0, 1.0))
    assert np.abs(one - other).max() > 1e-3


@pytest.mark.parametrize("conditioning", ["concatenation", "projection"])
def test_the_condition_reaches_the_logit(conditioning):
    discriminator = dcgan_discriminator((8, 8, 1), 2, 3, conditioning)
    images = np.ones((1, 8, 8, 1))
    one, other = (discriminator([images, np.full((1, 3), value)]) for value in (0.0, 1.0))
    assert np.abs(one - other).max() > 1e-4


def test_class_logits():
    logit, classes = dcgan_discriminator((8, 8, 1), 2, auxiliary_classes=7)(np.ones((3, 8, 8, 1)))
    assert (logit.shape, classes.shape) == ((3, 1), (3, 7))
