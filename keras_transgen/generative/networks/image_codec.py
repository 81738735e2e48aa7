"""Convolutions from images to a small map of latents, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_transgen.generative.networks.group_normalization import group_normalization

_WIDEST = 4


def image_encoder(
    image_shape: Sequence[int], channels: int = 8, downsampling: int = 4, width: int = 48
) -> keras.Model:
    """A network from images to maps that are smaller by a power of two.

    Patches of 2x2 pixels become one place at once; then each level has a residual block and, but
    for the last, a convolution of stride 2. Level l has `width * min(2^l, 4)` channels.

    Args:
        image_shape: `(height, width, channels)`, the sides multiples of `downsampling`.
        channels: Of the maps that come out.
        downsampling: 2, 4, 8 or a higher power of 2.
        width: Channels of the largest maps. Defaults to 48.

    Returns:
        A model from `[batch, *image_shape]` to
        `[batch, height / downsampling, width / downsampling, channels]`, float32.

    Reference:
        Rombach et al., High-resolution image synthesis with latent diffusion models, 2022.
    """
    widths = _widths(downsampling, width)
    image = keras.Input(tuple(image_shape), name="image")
    x = keras.layers.Conv2D(widths[0], 4, strides=2, padding="same", name="encoder_first")(image)
    for level, each in enumerate(widths):
        if level:
            x = keras.layers.Conv2D(
                each, 3, strides=2, padding="same", name=f"encoder_halved_{level}"
            )(x)
        x = _residual(x, each, f"encoder_{level}")
    x = _activated(x, "encoder_last")
    x = keras.layers.Conv2D(channels, 3, padding="same", dtype="float32", name="encoder_latents")(x)
    return keras.Model(image, x, name="encoder")


def image_decoder(
    image_shape: Sequence[int],
    channels: int = 4,
    downsampling: int = 4,
    width: int = 48,
    blocks: int = 2,
) -> keras.Model:
    """The way back from the maps of `image_encoder` to images.

    Args:
        image_shape: `(height, width, channels)` of the images.
        channels: Of the maps.
        downsampling: As in `image_encoder`.
        width: As in `image_encoder`.
        blocks: Residual blocks at the smallest size, where they cost least. Others have one.

    Returns:
        A model from `[batch, height / downsampling, width / downsampling, channels]` to
        `[batch, *image_shape]`, float32 without bounds.

    Reference:
        Rombach et al., High-resolution image synthesis with latent diffusion models, 2022.
    """
    widths = _widths(downsampling, width)
    sides = (side // downsampling for side in image_shape[:2])
    latents = keras.Input((*sides, channels), name="latents")
    x = keras.layers.Conv2D(widths[-1], 3, padding="same", name="decoder_first")(latents)
    for level, each in reversed(list(enumerate(widths))):
        for place in range(blocks if each == widths[-1] else 1):
            x = _residual(x, each, f"decoder_{level}_{place}")
        if level:
            x = keras.layers.Conv2DTranspose(
                widths[level - 1], 4, strides=2, padding="same", name=f"decoder_doubled_{level}"
            )(x)
    x = _activated(x, "decoder_last")
    x = keras.layers.Conv2DTranspose(
        image_shape[-1], 4, strides=2, padding="same", dtype="float32", name="decoder_pixels"
    )(x)
    return keras.Model(latents, x, name="decoder")


# Names of their own, in all of a model: TensorFlow adds gradients up in the order of names.
def _residual(x: Any, channels: int, name: str) -> Any:
    """Two convolutions beside a bridge; the block starts as its bridge."""
    y = _activated(x, f"{name}_0")
    y = keras.layers.Conv2D(channels, 3, padding="same", name=f"{name}_convolution_0")(y)
    y = _activated(y, f"{name}_1")
    y = keras.layers.Conv2D(
        channels, 3, padding="same", kernel_initializer="zeros", name=f"{name}_convolution_1"
    )(y)
    return keras.layers.Add(name=name)([x, y])


def _activated(x: Any, name: str) -> Any:
    x = group_normalization(x.shape[-1], name=f"{name}_normalization")(x)
    return keras.layers.Activation("swish", name=f"{name}_activation")(x)


def _widths(downsampling: int, width: int) -> list[int]:
    """Channels of each level, from large maps to small ones."""
    levels = downsampling.bit_length() - 1
    return [width * min(2**level, _WIDEST) for level in range(levels)]
