"""Autoencoders and flows whose noise is a function of the images, so that replicas compare."""

import functools

import keras
import numpy as np

from keras_transgen.fusion import LatentAutoencoder, LatentFlow
from keras_transgen.fusion.latent_codec import LatentCodec
from tests.generative.adversarial.adversarial_models import noise_of_examples

IMAGES = np.random.default_rng(0).uniform(-1, 1, (24, 8, 8, 1)).astype("float32")
LABELS = np.random.default_rng(1).integers(0, 3, 24)


@keras.saving.register_keras_serializable(package="tests")
class FixedNoiseAutoencoder(LatentAutoencoder):
    """The latents' noise goes with the image."""

    def draw_noise(self, data, seed, training):
        return noise_of_examples(data, super().draw_noise(data, seed, training))


@keras.saving.register_keras_serializable(package="tests")
class FixedNoiseLatentFlow(LatentFlow):
    """Noise, times and dropped conditions go with the latents."""

    def draw_noise(self, data, seed, training):
        return noise_of_examples(data, super().draw_noise(data, seed, training))


@functools.cache
def known_codec() -> LatentCodec:
    """A codec of random weights with a scale of its latents."""
    keras.utils.set_random_seed(0)
    codec = LatentCodec((8, 8, 1), latent_channels=2, width=4)
    codec.scale.adapt(np.random.default_rng(2).normal(1.0, 2.0, (50, 2)))
    return codec
