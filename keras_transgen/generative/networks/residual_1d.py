"""A residual pair for sequences of symbols, one-hot vectors along one axis."""

from __future__ import annotations

from typing import Any

import keras

from keras_transgen.generative.networks.conditioning import (
    ConditionalNormalization,
    discriminator_inputs,
    discriminator_outputs,
    generator_inputs,
)

_BLOCKS = 5
_KERNEL = 5
# Share of a block's convolutions in its sum with what enters it.
_RESIDUAL = 0.3


def check_symbols_shape(example_shape: tuple[int, ...]) -> None:
    """Refuse what is no shape of one-hot sequences `(length, symbols)`.

    Raises:
        ValueError: If it has another rank, no step or fewer than two symbols.
    """
    if len(example_shape) != 2 or example_shape[0] < 1 or example_shape[1] < 2:
        raise ValueError(
            "The residual networks for sequences make one-hot vectors [length, symbols] of at "
            "least two symbols; for waveforms of one channel take networks='wavegan'. "
            f"Received: example_shape={tuple(example_shape)}"
        )


def residual_1d_generator(
    example_shape: tuple[int, ...],
    latent_dim: int = 128,
    filters: int = 128,
    embedding_dim: int | None = None,
    conditioning: str = "concatenation",
    blocks: int = _BLOCKS,
) -> keras.Model:
    """A generator of residual blocks at full length, to probabilities of symbols.

    Args:
        example_shape: `(length, symbols)`; any length.
        latent_dim: Length of the latent vector.
        filters: Channels of every block.
        embedding_dim: Length of the condition's embedding; `None` for an unconditional one.
        conditioning: `"concatenation"` with the latent vector or conditional `"normalization"`.
        blocks: Number of residual blocks, each of two convolutions of width 5.

    Returns:
        A model from `[batch, latent_dim]`, or a list of it and `[batch, embedding_dim]`, to
        `[batch, length, symbols]`, float32, whose rows sum to one.

    Raises:
        ValueError: If it is no shape of one-hot sequences.

    Example:
        ```python
        from keras_transgen.generative.networks.residual_1d import residual_1d_generator

        assert residual_1d_generator((60, 4), filters=2).output_shape == (None, 60, 4)
        ```

    Reference:
        Gulrajani et al., Improved training of Wasserstein GANs, 2017; Killoran et al., Generating
        and designing DNA with deep generative models, 2017.
    """
    check_symbols_shape(example_shape)
    length, symbols = example_shape
    inputs, start, embedding = generator_inputs(latent_dim, embedding_dim, conditioning)
    x = keras.layers.Dense(length * filters)(start)
    x = keras.layers.Reshape((length, filters))(x)
    for _ in range(blocks):
        x = _block(x, filters, embedding)
    x = keras.layers.Conv1D(symbols, 1, dtype="float32")(x)
    x = keras.layers.Softmax(dtype="float32", name="symbols")(x)
    return keras.Model(inputs, x, name="generator")


def residual_1d_discriminator(
    example_shape: tuple[int, ...],
    filters: int = 128,
    embedding_dim: int | None = None,
    conditioning: str | None = "projection",
    auxiliary_classes: int | None = None,
    blocks: int = _BLOCKS,
) -> keras.Model:
    """A discriminator (critic) of residual blocks at full length; without normalization.

    Args:
        example_shape: `(length, symbols)`; any length.
        filters: Channels of every block.
        embedding_dim: Length of the condition's embedding; `None` for an unconditional one.
        conditioning: `"projection"`, `"concatenation"` or `None`.
        auxiliary_classes: Number of classes to tell apart besides, or `None`.
        blocks: Number of residual blocks, each of two convolutions of width 5.

    Returns:
        A model from `[batch, *example_shape]`, or a list of it and `[batch, embedding_dim]`, to a
        logit `[batch, 1]`, or a list of it and class logits; float32.

    Raises:
        ValueError: If it is no shape of one-hot sequences.

    Reference:
        Gulrajani et al., Improved training of Wasserstein GANs, 2017.
    """
    check_symbols_shape(example_shape)
    inputs, x, embedding = discriminator_inputs(example_shape, embedding_dim, conditioning)
    x = keras.layers.Conv1D(filters, 1)(x)
    for _ in range(blocks):
        x = _block(x, filters)
    outputs = discriminator_outputs(keras.layers.Flatten()(x), embedding, auxiliary_classes)
    return keras.Model(inputs, outputs, name="discriminator")


def _block(x: Any, filters: int, embedding: Any = None) -> Any:
    inner = x
    for _ in range(2):
        if embedding is not None:
            inner = ConditionalNormalization()([inner, embedding])
        inner = keras.layers.ReLU()(inner)
        inner = keras.layers.Conv1D(filters, _KERNEL, padding="same")(inner)
    return keras.layers.Add()([x, keras.layers.Rescaling(_RESIDUAL)(inner)])
