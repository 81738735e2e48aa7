"""A residual pair with spectral normalization in the discriminator."""

from __future__ import annotations

from typing import Any

import keras

from keras_transgen.generative.networks.conditioning import (
    ConditionalNormalization,
    discriminator_inputs,
    discriminator_outputs,
    generator_inputs,
)
from keras_transgen.generative.networks.dcgan import halvings
from keras_transgen.generative.networks.spectral_normalization import SpectralNormalization
from keras_transgen.generative.networks.value_range import InValueRange


def sngan_generator(
    image_shape: tuple[int, ...] = (32, 32, 3),
    latent_dim: int = 128,
    filters: int = 256,
    embedding_dim: int | None = None,
    conditioning: str = "normalization",
    value_range: tuple[float, float] | None = (-1.0, 1.0),
) -> keras.Model:
    """A generator of residual blocks that double the size by repeating pixels.

    Args:
        image_shape: `(size, size, channels)` with a size that can be halved.
        latent_dim: Length of the latent vector.
        filters: Channels of every block.
        embedding_dim: Length of the condition's embedding; `None` for an unconditional one.
        conditioning: Conditional `"normalization"` or `"concatenation"` with the latent vector.
        value_range: Of the images; `None` for values without bounds.

    Returns:
        A model as `dcgan_generator` returns it.

    Raises:
        ValueError: If the size cannot be halved.

    Example:
        ```python
        from keras_transgen.generative.networks.sngan import sngan_generator

        assert sngan_generator((8, 8, 1), filters=4).output_shape == (None, 8, 8, 1)
        ```

    Reference:
        Miyato et al., Spectral normalization for generative adversarial networks, 2018.
    """
    count = halvings(image_shape)
    size = image_shape[0] // 2**count
    inputs, start, embedding = generator_inputs(latent_dim, embedding_dim, conditioning)

    def activated(x: Any) -> Any:
        if embedding is not None:
            x = ConditionalNormalization()([x, embedding])
        else:
            x = keras.layers.BatchNormalization(momentum=0.9)(x)
        return keras.layers.ReLU()(x)

    x = keras.layers.Dense(size * size * filters)(start)
    x = keras.layers.Reshape((size, size, filters))(x)
    for _ in range(count):
        shortcut = keras.layers.Conv2D(filters, 1)(keras.layers.UpSampling2D()(x))
        x = keras.layers.UpSampling2D()(activated(x))
        x = keras.layers.Conv2D(filters, 3, padding="same")(x)
        x = keras.layers.Conv2D(filters, 3, padding="same")(activated(x))
        x = keras.layers.Add()([x, shortcut])
    x = keras.layers.Conv2D(image_shape[2], 3, padding="same")(activated(x))
    x = InValueRange(value_range, name="image")(x)
    return keras.Model(inputs, x, name="generator")


def sngan_discriminator(
    image_shape: tuple[int, ...] = (32, 32, 3),
    filters: int = 128,
    embedding_dim: int | None = None,
    conditioning: str | None = "projection",
    auxiliary_classes: int | None = None,
) -> keras.Model:
    """A discriminator of residual blocks whose layers all have spectral norm one.

    So have the last layer, the map of the projection, the classifier's and, in a `ConditionalGAN`,
    the embedding of the conditions; see `SpectralNormalization`.

    Args:
        image_shape: `(size, size, channels)` with a size that can be halved.
        filters: Channels of every block.
        embedding_dim: Length of the condition's embedding; `None` for an unconditional one.
        conditioning: `"projection"`, `"concatenation"` or `None`.
        auxiliary_classes: Number of classes to tell apart besides, or `None`.

    Returns:
        A model as `dcgan_discriminator` returns it.

    Raises:
        ValueError: If the size cannot be halved.

    Reference:
        Miyato et al., Spectral normalization for generative adversarial networks, 2018; Miyato and
        Koyama, cGANs with projection discriminator, 2018.
    """
    inputs, x, embedding = discriminator_inputs(image_shape, embedding_dim, conditioning)

    def convolution(x: Any, kernel: int) -> Any:
        layer = keras.layers.Conv2D(filters, kernel, padding="same")
        return SpectralNormalization(layer)(x)

    halved = halvings(image_shape)
    for block in range(halved + 1):
        inner = x if block == 0 else keras.layers.ReLU()(x)
        inner = convolution(inner, 3)
        inner = convolution(keras.layers.ReLU()(inner), 3)
        shortcut = convolution(x, 1)
        x = keras.layers.Add()([inner, shortcut])
        if block < halved:
            x = keras.layers.AveragePooling2D(2)(x)
    x = keras.layers.ReLU()(x)
    # The sum over all places, as in the paper: with layers of norm one a mean leaves small logits.
    places = x.shape[1] * x.shape[2]
    features = keras.layers.Rescaling(places)(keras.layers.GlobalAveragePooling2D()(x))
    outputs = discriminator_outputs(features, embedding, auxiliary_classes, True)
    return keras.Model(inputs, outputs, name="discriminator")
