"""Dense generator and discriminator for vectors."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from keras_transgen.generative.networks.conditioning import (
    ConditionalNormalization,
    discriminator_inputs,
    discriminator_outputs,
    generator_inputs,
)
from keras_transgen.generative.networks.value_range import InValueRange


def dense_generator(
    features: int,
    latent_dim: int = 128,
    hidden: Sequence[int] = (256, 256),
    embedding_dim: int | None = None,
    conditioning: str = "concatenation",
    value_range: tuple[float, float] | None = None,
) -> keras.Model:
    """A multilayer perceptron from latent vectors to vectors `[batch, features]`, float32.

    The other arguments are those of `dcgan_generator`.
    """
    inputs, x, embedding = generator_inputs(latent_dim, embedding_dim, conditioning)
    for width in hidden:
        x = keras.layers.Dense(width)(x)
        if embedding is not None:
            x = ConditionalNormalization()([x, embedding])
        x = keras.layers.LeakyReLU(0.2)(x)
    x = keras.layers.Dense(features, dtype="float32")(x)
    x = InValueRange(value_range, name="vector")(x)
    return keras.Model(inputs, x, name="generator")


def dense_discriminator(
    features: int,
    hidden: Sequence[int] = (256, 256),
    embedding_dim: int | None = None,
    conditioning: str | None = "projection",
    auxiliary_classes: int | None = None,
) -> keras.Model:
    """A multilayer perceptron from vectors to a logit; otherwise as `dcgan_discriminator`."""
    inputs, x, embedding = discriminator_inputs((features,), embedding_dim, conditioning)
    for width in hidden:
        x = keras.layers.Dense(width)(x)
        x = keras.layers.LeakyReLU(0.2)(x)
    outputs = discriminator_outputs(x, embedding, auxiliary_classes)
    return keras.Model(inputs, outputs, name="discriminator")
