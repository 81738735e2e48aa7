"""Convolutional encoder and decoder for sequences of any length."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

SHORTEST = 4
_KERNEL = 5


def convolutional_1d_encoder(
    sequence_shape: Sequence[int],
    base_filters: int = 32,
    hidden_units: int = 256,
    activation: Any = "relu",
) -> keras.Sequential:
    """Convolutions of stride 2 until four steps are left, then a dense layer.

    Args:
        sequence_shape: `(length, channels)`; the length at least 4.
        base_filters: Filters of the first convolution; doubled at each one after, up to 8 times
            as many. Defaults to 32.
        hidden_units: Width of the dense layer. Defaults to 256.
        activation: Keras activation. Defaults to `"relu"`.

    Returns:
        A built network `[batch, length, channels]` to `[batch, hidden_units]`.

    Raises:
        ValueError: If the sequences are too short or are no sequences.

    Example:
        ```python
        from keras_transgen.generative.networks import convolutional_1d_encoder

        assert convolutional_1d_encoder((60, 4)).output_shape == (None, 256)
        ```
    """
    lengths = _lengths(sequence_shape)
    layers: list[Any] = [keras.Input(tuple(sequence_shape))]
    layers += [
        keras.layers.Conv1D(filters, _KERNEL, strides=2, padding="same", activation=activation)
        for filters in _filters(base_filters, len(lengths) - 1)
    ]
    layers += [keras.layers.Flatten(), keras.layers.Dense(hidden_units, activation=activation)]
    return keras.Sequential(layers, name="encoder")


def convolutional_1d_decoder(
    latent_dim: int,
    output_shape: Sequence[int],
    base_filters: int = 32,
    hidden_units: int = 256,
    activation: Any = "relu",
) -> keras.Sequential:
    """The mirror of `convolutional_1d_encoder`, to a likelihood's parameters in float32.

    Lengths that are no power of two times four are made one step too long where they have to be,
    and cropped.

    Args:
        latent_dim: Number of latent units.
        output_shape: `(length, parameters)` of one sequence; the length at least 4.
        base_filters: As in the encoder. Defaults to 32.
        hidden_units: As in the encoder. Defaults to 256.
        activation: Keras activation of the hidden layers. Defaults to `"relu"`.

    Returns:
        A built network `[batch, latent_dim]` to `[batch, *output_shape]`.

    Raises:
        ValueError: If the sequences are too short or are no sequences.

    Example:
        ```python
        from keras_transgen.generative.networks import convolutional_1d_decoder

        assert convolutional_1d_decoder(8, (60, 4)).output_shape == (None, 60, 4)
        ```
    """
    lengths = _lengths(output_shape)
    filters = _filters(base_filters, len(lengths) - 1)
    deepest = (lengths[-1], filters[-1] if filters else base_filters)
    layers: list[Any] = [
        keras.Input((latent_dim,)),
        keras.layers.Dense(hidden_units, activation=activation),
        keras.layers.Dense(math.prod(deepest), activation=activation),
        keras.layers.Reshape(deepest),
    ]
    for level in reversed(range(len(filters))):
        width = filters[max(level - 1, 0)]
        layers.append(
            keras.layers.Conv1DTranspose(
                width, _KERNEL, strides=2, padding="same", activation=activation
            )
        )
        excess = 2 * lengths[level + 1] - lengths[level]
        if excess:
            layers.append(keras.layers.Cropping1D((0, excess)))
    layers.append(keras.layers.Conv1D(output_shape[-1], 3, padding="same", dtype="float32"))
    return keras.Sequential(layers, name="decoder")


def _lengths(shape: Sequence[int]) -> list[int]:
    """The length at each level, from the sequence to about four steps."""
    if len(shape) != 2 or shape[0] < SHORTEST or shape[1] < 1:
        raise ValueError(
            f"Convolutional networks need sequences (length, channels) of at least {SHORTEST} "
            "steps; use dense_encoder and dense_decoder for shorter ones and for vectors. "
            f"Received: shape {tuple(shape)}"
        )
    lengths = [shape[0]]
    while lengths[-1] > SHORTEST:
        lengths.append(math.ceil(lengths[-1] / 2))
    return lengths


def _filters(base_filters: int, levels: int) -> list[int]:
    return [base_filters * min(8, 2**level) for level in range(levels)]
