"""Dense encoder and decoder, for vectors and for small images taken as vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras


def dense_encoder(
    example_shape: Sequence[int],
    hidden_units: Sequence[int] = (512, 512),
    activation: Any = "relu",
) -> keras.Sequential:
    """A dense network from examples to features.

    Args:
        example_shape: Shape of one example; images are flattened.
        hidden_units: Width of each layer. Defaults to `(512, 512)`.
        activation: Keras activation. Defaults to `"relu"`.

    Returns:
        A built network `[batch, *example_shape]` to `[batch, hidden_units[-1]]`.

    Raises:
        ValueError: If there is no layer.

    Example:
        ```python
        from keras_transgen.generative.networks import dense_encoder

        assert dense_encoder((28, 28, 1)).output_shape == (None, 512)
        ```
    """
    _require_layers(hidden_units)
    layers: list[Any] = [keras.Input(tuple(example_shape)), keras.layers.Flatten()]
    layers += [keras.layers.Dense(units, activation=activation) for units in hidden_units]
    return keras.Sequential(layers, name="encoder")


def dense_decoder(
    latent_dim: int,
    output_shape: Sequence[int],
    hidden_units: Sequence[int] = (512, 512),
    activation: Any = "relu",
) -> keras.Sequential:
    """A dense network from latent vectors to a likelihood's parameters, in float32.

    Args:
        latent_dim: Number of latent units.
        output_shape: Shape of the parameters of one example.
        hidden_units: Width of each hidden layer. Defaults to `(512, 512)`.
        activation: Keras activation of the hidden layers. Defaults to `"relu"`.

    Returns:
        A built network `[batch, latent_dim]` to `[batch, *output_shape]`.

    Raises:
        ValueError: If there is no hidden layer.

    Example:
        ```python
        from keras_transgen.generative.networks import dense_decoder

        assert dense_decoder(40, (28, 28, 1)).output_shape == (None, 28, 28, 1)
        ```
    """
    _require_layers(hidden_units)
    layers: list[Any] = [keras.Input((latent_dim,))]
    layers += [keras.layers.Dense(units, activation=activation) for units in hidden_units]
    layers.append(keras.layers.Dense(math.prod(output_shape), dtype="float32"))
    if len(output_shape) > 1:
        layers.append(keras.layers.Reshape(tuple(output_shape), dtype="float32"))
    return keras.Sequential(layers, name="decoder")


def _require_layers(hidden_units: Sequence[int]) -> None:
    if not hidden_units or any(units < 1 for units in hidden_units):
        raise ValueError(
            "hidden_units must name the width of at least one layer. "
            f"Received: hidden_units={tuple(hidden_units)}"
        )
