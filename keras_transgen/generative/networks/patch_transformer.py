"""A Transformer over patches of images or pieces of sequences, for flows (DiT)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

from keras_transgen.generative.networks.adaptive_normalization import AdaptiveNormalization
from keras_transgen.generative.networks.time_embedding import flow_inputs, flow_network

_PATCHES = (4, 2, 1)
_FEWEST, _MOST = 16, 4096
_DIM_PER_HEAD = 32


def patch_transformer(
    example_shape: Sequence[int],
    width: int = 128,
    embedding_dim: int | None = None,
    depth: int = 6,
    patch: int | None = None,
    hidden_ratio: int = 4,
) -> keras.Model:
    """A Transformer from examples and times to examples, whose tokens are patches.

    With the default sizes it has 1.9 million parameters for 28x28x1 (49 patches of 4x4).

    Args:
        example_shape: `(height, width, channels)` or `(length, channels)`.
        width: Length of a token; heads of attention have 32 of it each. Defaults to 128.
        embedding_dim: Length of a condition's vector; `None` without conditions.
        depth: Blocks. Defaults to 6.
        patch: Side of a patch, which must divide the sides. Defaults to the largest of 4, 2 and 1
            that does and leaves 16 patches.
        hidden_ratio: Units of a block's dense part, in widths. Defaults to 4.

    Returns:
        A model from `[examples, time [batch]]`, and `condition [batch, embedding_dim]` besides, to
        `[batch, *example_shape]`, float32; zero at the start.

    Raises:
        ValueError: If these are no images or sequences, the patches do not divide them, there are
            more than 4,096 of them, or the heads do not divide the width.

    Example:
        ```python
        from keras_transgen.generative.networks.patch_transformer import patch_transformer

        network = patch_transformer((8, 8, 1), width=8, depth=1)
        assert network.output_shape == (None, 8, 8, 1)
        ```

    Reference:
        Peebles and Xie, Scalable diffusion models with transformers, 2023.
    """
    sides = tuple(example_shape[:-1])
    patch = _checked_patch(tuple(example_shape), patch)
    places = tuple(side // patch for side in sides)
    heads = max(1, width // _DIM_PER_HEAD)
    if width % heads:
        raise ValueError(
            f"width must be a multiple of its {heads} heads of attention, such as "
            f"{_DIM_PER_HEAD * heads}. Received: width={width}"
        )
    images = len(sides) == 2
    into = keras.layers.Conv2D if images else keras.layers.Conv1D
    out_of = keras.layers.Conv2DTranspose if images else keras.layers.Conv1DTranspose
    inputs, x, embedding = flow_inputs(example_shape, embedding_dim, width)
    x = into(width, patch, strides=patch, name="patches")(x)
    x = keras.layers.Reshape((math.prod(places), width), name="tokens")(x)
    x = LearnedPositions(name="positions")(x)
    for block in range(depth):
        x = ModulatedBlock(heads, hidden_ratio, name=f"block_{block}")([x, embedding])
    x = AdaptiveNormalization(None, name="last_normalization")([x, embedding])
    x = keras.layers.Reshape((*places, width), name="places")(x)
    x = out_of(
        example_shape[-1],
        patch,
        strides=patch,
        kernel_initializer="zeros",
        dtype="float32",
        name="predicted",
    )(x)
    return flow_network(inputs, x)


def _checked_patch(example_shape: tuple[int, ...], patch: int | None) -> int:
    sides = example_shape[:-1]
    if len(sides) not in (1, 2):
        raise ValueError(
            "A patch Transformer is for images (height, width, channels) and sequences (length, "
            f"channels). Received: example_shape={example_shape}"
        )
    if patch is None:
        fits = (
            each
            for each in _PATCHES
            if all(side % each == 0 for side in sides)
            and math.prod(side // each for side in sides) >= _FEWEST
        )
        patch = next(fits, 1)
    if patch < 1 or any(side % patch for side in sides):
        raise ValueError(
            "Patches must divide the sides of the examples. "
            f"Received: patch={patch}, example_shape={example_shape}"
        )
    count = math.prod(side // patch for side in sides)
    if count > _MOST:
        raise ValueError(
            f"Attention compares every patch with every other, and {_MOST:,} are the most. Take "
            "larger ones, patch_transformer(..., patch=8), smaller examples, or network='unet'. "
            f"Received: {count:,} patches of side {patch} in examples of shape {example_shape}"
        )
    return patch


@keras.saving.register_keras_serializable(package="keras_transgen")
class LearnedPositions(keras.layers.Layer):
    """Adds a vector of its own to each place of `[batch, places, width]`."""

    def build(self, input_shape: Any) -> None:
        self.positions = self.add_weight(
            name="positions",
            shape=tuple(input_shape[1:]),
            initializer=keras.initializers.RandomNormal(stddev=0.02),
        )
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs + self.positions

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@keras.saving.register_keras_serializable(package="keras_transgen")
class ModulatedBlock(keras.layers.Layer):
    """A Transformer block that an embedding scales, moves and lets through (adaLN-Zero).

        x = x + gate * attention(normalized(x) * (1 + scale) + offset)
        x = x + gate' * dense(normalized(x) * (1 + scale') + offset')

    The six numbers of each feature are a linear map of the embedding that starts at zero, so the
    block starts as the identity.

    Args:
        num_heads: Heads of attention, which must divide the width.
        hidden_ratio: Units of the dense part, in widths. Defaults to 4.

    Reference:
        Peebles and Xie, Scalable diffusion models with transformers, 2023.
    """

    def __init__(self, num_heads: int = 4, hidden_ratio: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.hidden_ratio = hidden_ratio

    def build(self, input_shape: Any) -> None:
        tokens, embedding = input_shape
        width = tokens[-1]
        policy = self.dtype_policy
        self.norms = [
            keras.layers.LayerNormalization(
                epsilon=1e-6, center=False, scale=False, name=f"norm_{place}", dtype=policy
            )
            for place in range(2)
        ]
        self.attention = keras.layers.MultiHeadAttention(
            self.num_heads, width // self.num_heads, name="attention", dtype=policy
        )
        self.hidden = keras.layers.Dense(
            self.hidden_ratio * width, activation="gelu", name="hidden", dtype=policy
        )
        self.output_map = keras.layers.Dense(width, name="output", dtype=policy)
        self.modulation = keras.layers.Dense(
            6 * width, kernel_initializer="zeros", name="modulation", dtype=policy
        )
        for norm in self.norms:
            norm.build(tokens)
        self.attention.build(tokens, tokens)
        self.hidden.build(tokens)
        self.output_map.build((*tokens[:-1], self.hidden_ratio * width))
        self.modulation.build(embedding)
        self.built = True

    def call(self, inputs: Any) -> Any:
        x, embedding = inputs
        modulation = self.modulation(embedding)[:, None]
        scale, offset, gate, scale_2, offset_2, gate_2 = keras.ops.split(modulation, 6, axis=-1)
        y = self.norms[0](x) * (1 + scale) + offset
        x = x + gate * self.attention(y, y)
        y = self.norms[1](x) * (1 + scale_2) + offset_2
        return x + gate_2 * self.output_map(self.hidden(y))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "hidden_ratio": self.hidden_ratio,
        }
