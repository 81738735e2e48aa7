"""Convolutional encoder and decoder for images of any size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

_SMALLEST_SIDE = 4


def convolutional_encoder(
    image_shape: Sequence[int],
    base_filters: int = 32,
    hidden_units: int = 256,
    activation: Any = "relu",
) -> keras.Sequential:
    """Convolutions of stride 2 until the shorter side is 4, then a dense layer.

    Args:
        image_shape: `(height, width, channels)`; each side at least 4, square or not.
        base_filters: Filters of the first convolution; doubled at each one after, up to 8 times
            as many. Defaults to 32.
        hidden_units: Width of the dense layer. Defaults to 256.
        activation: Keras activation. Defaults to `"relu"`.

    Returns:
        A built network `[batch, height, width, channels]` to `[batch, hidden_units]`.

    Raises:
        ValueError: If the images are too small or are no images.

    Example:
        ```python
        from keras_transgen.generative.networks import convolutional_encoder

        assert convolutional_encoder((28, 28, 1)).output_shape == (None, 256)
        ```
    """
    sizes = _sizes(image_shape)
    layers: list[Any] = [keras.Input(tuple(image_shape))]
    layers += [
        keras.layers.Conv2D(filters, 4, strides=2, padding="same", activation=activation)
        for filters in _filters(base_filters, len(sizes) - 1)
    ]
    layers += [keras.layers.Flatten(), keras.layers.Dense(hidden_units, activation=activation)]
    return keras.Sequential(layers, name="encoder")


def convolutional_decoder(
    latent_dim: int,
    output_shape: Sequence[int],
    base_filters: int = 32,
    hidden_units: int = 256,
    activation: Any = "relu",
) -> keras.Sequential:
    """The mirror of `convolutional_encoder`, to a likelihood's parameters in float32.

    Sides that are no power of two times four are made one row or column too large where they have
    to be, and cropped.

    Args:
        latent_dim: Number of latent units.
        output_shape: `(height, width, parameters)` of one image; each side at least 4.
        base_filters: As in the encoder. Defaults to 32.
        hidden_units: As in the encoder. Defaults to 256.
        activation: Keras activation of the hidden layers. Defaults to `"relu"`.

    Returns:
        A built network `[batch, latent_dim]` to `[batch, *output_shape]`.

    Raises:
        ValueError: If the images are too small or are no images.

    Example:
        ```python
        from keras_transgen.generative.networks import convolutional_decoder

        assert convolutional_decoder(32, (28, 28, 1)).output_shape == (None, 28, 28, 1)
        ```
    """
    sizes = _sizes(output_shape)
    filters = _filters(base_filters, len(sizes) - 1)
    deepest = (*sizes[-1], filters[-1] if filters else base_filters)
    layers: list[Any] = [
        keras.Input((latent_dim,)),
        keras.layers.Dense(hidden_units, activation=activation),
        keras.layers.Dense(math.prod(deepest), activation=activation),
        keras.layers.Reshape(deepest),
    ]
    for level in reversed(range(len(filters))):
        layers.append(
            keras.layers.Conv2DTranspose(
                filters[max(level - 1, 0)], 4, strides=2, padding="same", activation=activation
            )
        )
        excess = [2 * small - large for small, large in zip(sizes[level + 1], sizes[level])]
        if any(excess):
            layers.append(keras.layers.Cropping2D([(0, side) for side in excess]))
    layers.append(keras.layers.Conv2D(output_shape[-1], 3, padding="same", dtype="float32"))
    return keras.Sequential(layers, name="decoder")


def _sizes(image_shape: Sequence[int]) -> list[tuple[int, int]]:
    """Height and width at each level, from the image to where the shorter side is about 4."""
    if len(image_shape) != 3 or min(image_shape[:2]) < _SMALLEST_SIDE or image_shape[-1] < 1:
        raise ValueError(
            "Convolutional networks need images (height, width, channels) of at least "
            f"{_SMALLEST_SIDE}x{_SMALLEST_SIDE}; use dense_encoder and dense_decoder for smaller "
            f"ones and for vectors. Received: shape {tuple(image_shape)}"
        )
    height, width = image_shape[:2]
    sizes = [(height, width)]
    while min(sizes[-1]) > _SMALLEST_SIDE:
        height, width = sizes[-1]
        sizes.append((math.ceil(height / 2), math.ceil(width / 2)))
    return sizes


def _filters(base_filters: int, levels: int) -> list[int]:
    return [base_filters * min(8, 2**level) for level in range(levels)]
