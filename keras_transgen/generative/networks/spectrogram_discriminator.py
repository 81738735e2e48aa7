"""A discriminator for waveforms that looks at their spectrogram."""

from __future__ import annotations

import keras

from keras_transgen.backbones.sound.log_mel_spectrogram import LogMelSpectrogram
from keras_transgen.generative.networks.conditioning import (
    discriminator_inputs,
    discriminator_outputs,
)
from keras_transgen.training.counts import check_count

_FRAME_SECONDS, _HOP_SECONDS = 0.032, 0.010
_BANDS, _FLOOR = 64, 1e-3
_KERNEL, _LEVELS = 4, 4


def spectrogram_discriminator(
    example_shape: tuple[int, int],
    sample_rate: int,
    filters: int = 24,
    embedding_dim: int | None = None,
    conditioning: str | None = "projection",
    auxiliary_classes: int | None = None,
) -> keras.Model:
    """A discriminator that hears what sounds when, and no phases: in a log-mel spectrogram.

    Hand it in as `discriminator=` of a GAN of waveforms. Beside the discriminator of WaveGAN it
    needs a fraction of the time: frames of 32 ms, 10 ms apart, in 64 bands are a small picture, in
    which strided convolutions find what they must find in thousands of samples there. Waves are
    taken to be about as loud as speech that fills [-1, 1]; what is below 1e-3 of power is silence.

    Args:
        example_shape: `(length, 1)` of the waves, of one channel in [-1, 1].
        sample_rate: Samples per second.
        filters: Channels after the first convolution; doubled at every one of four. Defaults to
            24.
        embedding_dim: Length of the condition's embedding; `None` for an unconditional one.
        conditioning: `"projection"` or `None`. Defaults to `"projection"`.
        auxiliary_classes: Number of classes to tell apart besides, or `None`.

    Returns:
        A model from `[batch, *example_shape]`, or a list of it and `[batch, embedding_dim]`, to a
        logit `[batch, 1]`, or a list of it and class logits; float32.

    Raises:
        ValueError: If the waves have several channels or no length, a number is out of its range,
            or the condition would have to be a channel of the waves.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.generative.networks.spectrogram_discriminator import (
            spectrogram_discriminator,
        )

        listener = spectrogram_discriminator((1024, 1), 8000, 4, embedding_dim=8)
        gan = ktg.ConditionalGAN(
            10, (1024, 1), embedding_dim=8, latent_dim=16, filters=2, discriminator=listener
        )
        assert gan.sample([3, 7]).shape == (2, 1024, 1)
        ```

    Reference:
        Donahue, McAuley and Puckette, Adversarial audio synthesis, 2019 (SpecGAN, whose generator
        makes spectrograms too); Jang et al., UnivNet, 2021.
    """
    if len(example_shape) != 2 or not example_shape[0] or example_shape[1] != 1:
        raise ValueError(
            "Spectrograms are those of waves (length, 1), of one channel. "
            f"Received: example_shape={tuple(example_shape)}"
        )
    if conditioning not in ("projection", None):
        raise ValueError(
            "A spectrogram is made of the wave alone: conditioning must be 'projection' or None. "
            f"Received: conditioning={conditioning!r}"
        )
    for name, value in (("sample_rate", sample_rate), ("filters", filters)):
        check_count(name, value)
    inputs, x, embedding = discriminator_inputs(example_shape, embedding_dim, conditioning)
    x = keras.layers.Reshape((example_shape[0],))(x)
    x = LogMelSpectrogram(
        sample_rate,
        _BANDS,
        max(1, round(sample_rate * _FRAME_SECONDS)),
        max(1, round(sample_rate * _HOP_SECONDS)),
        floor=_FLOOR,
        channels=1,
    )(x)
    for level in range(_LEVELS):
        x = keras.layers.Conv2D(filters * 2**level, _KERNEL, strides=2, padding="same")(x)
        x = keras.layers.LeakyReLU(0.2)(x)
    outputs = discriminator_outputs(keras.layers.Flatten()(x), embedding, auxiliary_classes)
    return keras.Model(inputs, outputs, name="discriminator")
