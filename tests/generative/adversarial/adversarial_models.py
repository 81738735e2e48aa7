"""Adversarial models whose noise is a function of the examples, so that replicas can be compared.

A replica draws noise of its own; with noise that goes with the example instead, two replicas must
take the very step that one takes on the same global batch.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.generative.adversarial.conditional_gan import ConditionalGAN
from keras_transgen.generative.adversarial.gan import GAN
from keras_transgen.generative.networks.dcgan import dcgan_generator

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(-1, 1, (24, 8, 8, 1)).astype("float32")
VECTORS = RNG.normal(size=(24, 5)).astype("float32")
LABELS = RNG.integers(0, 3, 24)

IMPORTS = ("tests.generative.adversarial.adversarial_models",)


def noise_of_examples(data: Any, noise: Any) -> Any:
    """Replace every number of the noise by one that depends on its example alone."""
    x = keras.utils.unpack_x_y_sample_weight(data)[0]
    key = tf.reduce_sum(tf.reshape(tf.cast(x, tf.float32), [tf.shape(x)[0], -1]), axis=1)

    def replaced(value: tf.Tensor) -> tf.Tensor:
        count = int(np.prod(value.shape[1:]))
        phase = tf.range(1, count + 1, dtype=tf.float32)[None, :] * 1.7
        numbers = 0.5 + 0.5 * tf.sin(37.0 * key[:, None] + phase)
        numbers = tf.reshape(numbers, [-1, *value.shape[1:]])
        return numbers < 0.3 if value.dtype == tf.bool else numbers

    return keras.tree.map_structure(replaced, noise)


@keras.saving.register_keras_serializable(package="tests")
class FixedNoiseGAN(GAN):
    def draw_noise(self, data: Any, seed: tf.Tensor, training: bool) -> Any:
        return noise_of_examples(data, super().draw_noise(data, seed, training))


@keras.saving.register_keras_serializable(package="tests")
class FixedNoiseConditionalGAN(ConditionalGAN):
    def draw_noise(self, data: Any, seed: tf.Tensor, training: bool) -> Any:
        return noise_of_examples(data, super().draw_noise(data, seed, training))


def plain_generator(**kwargs: Any) -> keras.Model:
    """A generator without batch normalization, whose statistics are each replica's own."""
    return dcgan_generator((8, 8, 1), 4, 2, normalization=None, **kwargs)


def tiny_gan(**kwargs: Any) -> GAN:
    return GAN(**{"image_shape": (8, 8, 1), "latent_dim": 4, "filters": 2, **kwargs})


def tiny_conditional_gan(**kwargs: Any) -> ConditionalGAN:
    settings = {"num_classes": 3, "image_shape": (8, 8, 1), "latent_dim": 4, "filters": 2}
    return ConditionalGAN(**{**settings, "embedding_dim": 3, **kwargs})
