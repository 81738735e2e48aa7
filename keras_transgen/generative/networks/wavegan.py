"""Convolutional generator and discriminator for waveforms."""

from __future__ import annotations

from typing import Any

import keras

from keras_transgen.generative.networks.conditioning import (
    ConditionalNormalization,
    discriminator_inputs,
    discriminator_outputs,
    generator_inputs,
)
from keras_transgen.generative.networks.phase_shuffle import PhaseShuffle
from keras_transgen.generative.networks.value_range import InValueRange

_STRIDE = 4
_KERNEL = 25
_SHORTEST = 16
_LONGEST_START = 64
_WIDEST = 16


def quarterings(example_shape: tuple[int, ...]) -> int:
    """How often a waveform is taken to a quarter: once at least, then down to sixteen steps.

    Args:
        example_shape: `(length, channels)`.

    Returns:
        The number, at least 1.

    Raises:
        ValueError: If it is no waveform, or its length is no power of four times at most 64.
    """
    fits = len(example_shape) == 2 and example_shape[1] >= 1 and example_shape[0] >= 2 * _STRIDE
    count = 0
    if fits:
        length = example_shape[0]
        while length % _STRIDE == 0 and (count == 0 or length // _STRIDE >= _SHORTEST):
            length, count = length // _STRIDE, count + 1
        fits = count > 0 and length <= _LONGEST_START
    if not fits:
        raise ValueError(
            "WaveGAN makes waveforms [length, channels] by strides of 4, so that the length must "
            "be 4, 16, 64, ... times a number up to 64, such as 1024, 4096, 8192 or 16384. Pad or "
            "cut the waveforms (pad_to=, length=), or hand in generator= and discriminator= of "
            f"your own. Received: example_shape={tuple(example_shape)}"
        )
    return count


def fitting_length(samples: int) -> int:
    """The shortest length that fits the strides and holds so many samples.

    Args:
        samples: At least 1.

    Example:
        ```python
        from keras_transgen.generative.networks.wavegan import fitting_length

        assert [fitting_length(samples) for samples in (1, 4096, 5000)] == [8, 4096, 5120]
        ```
    """
    step = _STRIDE
    while samples > step * _LONGEST_START:
        step *= _STRIDE
    return max(2, -(-samples // step)) * step


def _widths(example_shape: tuple[int, ...], filters: int) -> list[int]:
    return [filters * min(2**level, _WIDEST) for level in range(quarterings(example_shape))]


def wavegan_generator(
    example_shape: tuple[int, ...] = (16384, 1),
    latent_dim: int = 100,
    filters: int = 64,
    embedding_dim: int | None = None,
    conditioning: str = "concatenation",
    value_range: tuple[float, float] | None = (-1.0, 1.0),
) -> keras.Model:
    """A generator that makes a waveform four times as long by each transposed convolution.

    Args:
        example_shape: `(length, channels)`; see `quarterings` for the lengths.
        latent_dim: Length of the latent vector.
        filters: Channels before the last layer; doubled at every lower rate, up to 16 times.
        embedding_dim: Length of the condition's embedding; `None` for an unconditional one.
        conditioning: `"concatenation"` with the latent vector or conditional `"normalization"`.
        value_range: Of the waveforms; `None` for values without bounds.

    Returns:
        A model from `[batch, latent_dim]`, or a list of it and `[batch, embedding_dim]`, to
        `[batch, *example_shape]`, float32.

    Raises:
        ValueError: If the length does not fit the strides.

    Example:
        ```python
        from keras_transgen.generative.networks.wavegan import wavegan_generator

        assert wavegan_generator((1024, 1), filters=2).output_shape == (None, 1024, 1)
        ```

    Reference:
        Donahue, McAuley and Puckette, Adversarial audio synthesis, 2019.
    """
    channels = _widths(example_shape, filters)
    length = example_shape[0] // _STRIDE ** len(channels)
    inputs, start, embedding = generator_inputs(latent_dim, embedding_dim, conditioning)

    def activated(x: Any) -> Any:
        if embedding is not None:
            x = ConditionalNormalization()([x, embedding])
        return keras.layers.ReLU()(x)

    def longer(x: Any, width: int) -> Any:
        return keras.layers.Conv1DTranspose(width, _KERNEL, strides=_STRIDE, padding="same")(x)

    x = keras.layers.Dense(length * channels[-1])(start)
    x = activated(keras.layers.Reshape((length, channels[-1]))(x))
    for width in channels[-2::-1]:
        x = activated(longer(x, width))
    x = InValueRange(value_range, name="waveform")(longer(x, example_shape[1]))
    return keras.Model(inputs, x, name="generator")


def wavegan_discriminator(
    example_shape: tuple[int, ...] = (16384, 1),
    filters: int = 64,
    embedding_dim: int | None = None,
    conditioning: str | None = "projection",
    auxiliary_classes: int | None = None,
    phase_shift: int = 2,
) -> keras.Model:
    """A discriminator that makes a waveform a quarter as long by each convolution.

    In training the features are shuffled in phase; see `PhaseShuffle`.

    Args:
        example_shape: `(length, channels)`; see `quarterings` for the lengths.
        filters: Channels after the first convolution; doubled at every one, up to 16 times.
        embedding_dim: Length of the condition's embedding; `None` for an unconditional one.
        conditioning: `"projection"`, `"concatenation"` or `None`.
        auxiliary_classes: Number of classes to tell apart besides, or `None`.
        phase_shift: Steps by which features are moved at most; 0 for none.

    Returns:
        A model from `[batch, *example_shape]`, or a list of it and `[batch, embedding_dim]`, to a
        logit `[batch, 1]`, or a list of it and class logits; float32.

    Raises:
        ValueError: If the length does not fit the strides.

    Reference:
        Donahue, McAuley and Puckette, Adversarial audio synthesis, 2019.
    """
    inputs, x, embedding = discriminator_inputs(example_shape, embedding_dim, conditioning)
    channels = _widths(example_shape, filters)
    for level, width in enumerate(channels):
        x = keras.layers.Conv1D(width, _KERNEL, strides=_STRIDE, padding="same")(x)
        x = keras.layers.LeakyReLU(0.2)(x)
        # Not before the last layer, as in the paper; and not where reflection has no room.
        if phase_shift and level < len(channels) - 1 and x.shape[1] > phase_shift:
            x = PhaseShuffle(level, phase_shift)(x)
    outputs = discriminator_outputs(keras.layers.Flatten()(x), embedding, auxiliary_classes)
    return keras.Model(inputs, outputs, name="discriminator")
