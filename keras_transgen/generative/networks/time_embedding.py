"""How a time enters a network of a flow: sines and cosines of it, and what is made of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

_LONGEST_PERIOD = 10_000.0
# Times lie in [0, 1]; the frequencies are those for step numbers up to a thousand.
_STEPS = 1000.0


@keras.saving.register_keras_serializable(package="keras_transgen")
class SinusoidalEmbedding(keras.layers.Layer):
    """Sines and cosines of times `[batch]` at geometrically spaced frequencies, `[batch, dim]`.

    Computes in float32: half precision cannot tell neighbouring times apart.

    Args:
        dim: Length of the embeddings, even.

    Raises:
        ValueError: If `dim` is odd or not positive.

    Reference:
        Vaswani et al., Attention is all you need, 2017; Ho, Jain and Abbeel, Denoising diffusion
        probabilistic models, 2020.
    """

    def __init__(self, dim: int = 64, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        if dim < 2 or dim % 2:
            raise ValueError(f"dim must be even and at least 2. Received: dim={dim}")
        self.dim = dim

    def call(self, time: Any) -> Any:
        half = self.dim // 2
        exponents = keras.ops.arange(half, dtype="float32") / half
        frequencies = _STEPS * keras.ops.exp(-math.log(_LONGEST_PERIOD) * exponents)
        angles = keras.ops.reshape(time, (-1, 1)) * frequencies
        return keras.ops.concatenate([keras.ops.sin(angles), keras.ops.cos(angles)], axis=-1)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return (input_shape[0], self.dim)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dim": self.dim}


def flow_inputs(
    example_shape: Sequence[int], embedding_dim: int | None, features: int
) -> tuple[list[Any], Any, Any]:
    """The inputs of a network of a flow, and one embedding of its time and its condition.

    Args:
        example_shape: Shape of one example.
        embedding_dim: Length of a condition's vector; `None` where there are no conditions.
        features: Length of the embedding that is made of both.

    Returns:
        The inputs `[examples, time]` or `[examples, time, condition]`, the examples, and the
        embedding `[batch, features]`.
    """
    examples = keras.Input(tuple(example_shape), name="examples")
    time = keras.Input((), name="time")
    inputs = [examples, time]
    # Names of their own: TensorFlow adds gradients up in the order of names, and Keras numbers
    # layers by what a process has made before.
    x = SinusoidalEmbedding(64, name="sinusoids")(time)
    x = keras.layers.Dense(features, activation="swish", name="time_hidden")(x)
    x = keras.layers.Dense(features, name="time_map")(x)
    if embedding_dim:
        inputs.append(keras.Input((embedding_dim,), name="condition"))
        told = keras.layers.Dense(features, name="condition_map")(inputs[-1])
        x = keras.layers.Add(name="time_and_condition")([x, told])
    return inputs, examples, keras.layers.Activation("swish", name="embedding")(x)


def flow_network(inputs: list[Any], outputs: Any) -> keras.Model:
    """A model that hands its inputs on as they are: times in half precision would be too coarse."""
    return keras.Model(inputs, outputs, name="network", dtype="float32")
