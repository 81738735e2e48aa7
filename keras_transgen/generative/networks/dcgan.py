"""Convolutional generator and discriminator for images of any size that can be halved."""

from __future__ import annotations

from typing import Any

import keras

from keras_transgen.generative.networks.conditioning import (
    ConditionalNormalization,
    discriminator_inputs,
    discriminator_outputs,
    generator_inputs,
)
from keras_transgen.generative.networks.value_range import InValueRange

_SMALLEST = 4
_WIDEST = 8


def halvings(image_shape: tuple[int, ...]) -> int:
    """How often an image is halved: once at least, then down to four pixels or an odd size.

    Args:
        image_shape: `(height, width, channels)`.

    Returns:
        The number, at least 1.

    Raises:
        ValueError: If the image is not square or its size is odd.
    """
    if len(image_shape) != 3 or image_shape[0] != image_shape[1] or image_shape[0] % 2:
        raise ValueError(
            "The built-in convolutional networks make square images [size, size, channels] whose "
            "size can be halved at least once, such as 8, 28, 32, 64, 128 or 256. Resize or pad "
            "the images, or hand in generator= and discriminator= of your own. "
            f"Received: image_shape={tuple(image_shape)}"
        )
    size, count = image_shape[0] // 2, 1
    while size % 2 == 0 and size // 2 >= _SMALLEST:
        size, count = size // 2, count + 1
    return count


def widths(image_shape: tuple[int, ...], filters: int) -> list[int]:
    """Channels after each halving: doubled each time, up to eight times the first."""
    return [filters * min(2**level, _WIDEST) for level in range(halvings(image_shape))]


def dcgan_generator(
    image_shape: tuple[int, ...] = (64, 64, 3),
    latent_dim: int = 128,
    filters: int = 64,
    normalization: str | None = "batch",
    embedding_dim: int | None = None,
    conditioning: str = "concatenation",
    value_range: tuple[float, float] | None = (-1.0, 1.0),
) -> keras.Model:
    """A generator that doubles the size by transposed convolutions.

    Args:
        image_shape: `(size, size, channels)`; see `halvings` for the sizes.
        latent_dim: Length of the latent vector.
        filters: Channels before the last layer; doubled at every lower size, up to eight times.
        normalization: `"batch"` or `None`.
        embedding_dim: Length of the condition's embedding; `None` for an unconditional one.
        conditioning: `"concatenation"` with the latent vector or conditional `"normalization"`.
        value_range: Of the images; `None` for values without bounds.

    Returns:
        A model from `[batch, latent_dim]`, or a list of it and `[batch, embedding_dim]`, to
        `[batch, *image_shape]`, float32.

    Raises:
        ValueError: If the size cannot be halved.

    Example:
        ```python
        from keras_transgen.generative.networks.dcgan import dcgan_generator

        assert dcgan_generator((28, 28, 1)).output_shape == (None, 28, 28, 1)
        ```

    Reference:
        Radford, Metz and Chintala, Unsupervised representation learning with deep convolutional
        generative adversarial networks, 2016.
    """
    channels = widths(image_shape, filters)
    size = image_shape[0] // 2 ** len(channels)
    inputs, start, embedding = generator_inputs(latent_dim, embedding_dim, conditioning)

    def normalized(x: Any) -> Any:
        if embedding is not None:
            x = ConditionalNormalization()([x, embedding])
        elif normalization == "batch":
            x = keras.layers.BatchNormalization(momentum=0.9)(x)
        return keras.layers.ReLU()(x)

    biased = normalization is None and embedding is None
    x = keras.layers.Dense(size * size * channels[-1], use_bias=biased)(start)
    x = normalized(keras.layers.Reshape((size, size, channels[-1]))(x))
    for width in channels[-2::-1]:
        x = keras.layers.Conv2DTranspose(width, 4, strides=2, padding="same", use_bias=biased)(x)
        x = normalized(x)
    x = keras.layers.Conv2DTranspose(image_shape[2], 4, strides=2, padding="same")(x)
    x = InValueRange(value_range, name="image")(x)
    return keras.Model(inputs, x, name="generator")


def dcgan_discriminator(
    image_shape: tuple[int, ...] = (64, 64, 3),
    filters: int = 64,
    embedding_dim: int | None = None,
    conditioning: str | None = "projection",
    auxiliary_classes: int | None = None,
) -> keras.Model:
    """A discriminator that halves the size by convolutions; without normalization.

    No example's logit depends on another example, so real ones and samples share a pass.

    Args:
        image_shape: `(size, size, channels)`; see `halvings` for the sizes.
        filters: Channels after the first convolution; doubled at every size, up to eight times.
        embedding_dim: Length of the condition's embedding; `None` for an unconditional one.
        conditioning: `"projection"`, `"concatenation"` or `None`.
        auxiliary_classes: Number of classes to tell apart besides, or `None`.

    Returns:
        A model from `[batch, *image_shape]`, or a list of it and `[batch, embedding_dim]`, to a
        logit `[batch, 1]`, or a list of it and class logits; float32.

    Raises:
        ValueError: If the size cannot be halved.

    Reference:
        Radford, Metz and Chintala, Unsupervised representation learning with deep convolutional
        generative adversarial networks, 2016.
    """
    inputs, x, embedding = discriminator_inputs(image_shape, embedding_dim, conditioning)
    for width in widths(image_shape, filters):
        x = keras.layers.Conv2D(width, 4, strides=2, padding="same")(x)
        x = keras.layers.LeakyReLU(0.2)(x)
    features = keras.layers.Flatten()(x)
    outputs = discriminator_outputs(features, embedding, auxiliary_classes)
    return keras.Model(inputs, outputs, name="discriminator")
