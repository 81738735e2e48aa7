"""Dense generator and discriminator for vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_transgen.generative.networks.conditioning import (
    ConditionalNormalization,
    discriminator_outputs,
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
    latent = keras.Input((latent_dim,), name="latent")
    embedding = keras.Input((embedding_dim,), name="condition") if embedding_dim else None
    modulated = embedding is not None and conditioning == "normalization"
    x: Any = latent
    if embedding is not None and not modulated:
        x = keras.layers.Concatenate()([latent, embedding])
    for width in hidden:
        x = keras.layers.Dense(width)(x)
        if modulated:
            x = ConditionalNormalization()([x, embedding])
        x = keras.layers.LeakyReLU(0.2)(x)
    x = keras.layers.Dense(features, dtype="float32")(x)
    x = InValueRange(value_range, name="vector")(x)
    return keras.Model(latent if embedding is None else [latent, embedding], x, name="generator")


def dense_discriminator(
    features: int,
    hidden: Sequence[int] = (256, 256),
    embedding_dim: int | None = None,
    conditioning: str | None = "projection",
    auxiliary_classes: int | None = None,
) -> keras.Model:
    """A multilayer perceptron from vectors to a logit; otherwise as `dcgan_discriminator`."""
    conditional = embedding_dim is not None and conditioning is not None
    vector = keras.Input((features,), name="vector")
    embedding = keras.Input((embedding_dim,), name="condition") if conditional else None
    x: Any = vector
    if conditional and conditioning == "concatenation":
        x = keras.layers.Concatenate()([vector, embedding])
    for width in hidden:
        x = keras.layers.Dense(width)(x)
        x = keras.layers.LeakyReLU(0.2)(x)
    projected = conditional and conditioning == "projection"
    outputs = discriminator_outputs(x, embedding, projected, auxiliary_classes)
    return keras.Model(
        [vector, embedding] if conditional else vector, outputs, name="discriminator"
    )
