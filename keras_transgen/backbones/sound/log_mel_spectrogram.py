"""Waves as pictures of what sounds when: the logarithm of a mel spectrogram, as a layer."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_transgen.backbones.sound.wave_mask import silent_where_masked

NORMALIZATIONS = ("none", "mean", "mean_and_variance")
_EPSILON = 1e-3
# What files may ask for.
_LONGEST_FRAME = 2**17


@keras.saving.register_keras_serializable(package="keras_transgen")
class LogMelSpectrogram(keras.layers.Layer):
    """Logarithm of the power in mel bands, frame by frame: what networks for sound take.

    `preprocessing=LogMelSpectrogram(sample_rate)` of a transfer model makes it part of the model.
    Bands are those of `keras.layers.MelSpectrogram`; frames are centred on every `hop_length`-th
    sample from the first on and see silence beyond the ends, and no frame depends on another or on
    other recordings. So a recording gives the same alone and padded with silence in a batch.

    Where waves have a mask (lists of recordings in `fit`), frames have one: those centred within
    the recording count.

    Args:
        sample_rate: Samples per second of the waves.
        num_mel_bins: Mel bands. Defaults to 64.
        frame_length: Samples that a frame sees. Defaults to 25 ms.
        hop_length: Samples from one frame to the next. Defaults to 10 ms.
        min_frequency: Where the lowest band begins, in Hz. Defaults to 60.
        max_frequency: Where the highest band ends, in Hz. Defaults to half the sample rate.
        floor: What is added to the power before the logarithm. Defaults to 1e-6.
        normalization: What each band is freed of, within a recording and over the frames that
            count: `"none"` (default), `"mean"` (what a microphone or a room does to all of it) or
            `"mean_and_variance"`. Without a mask all frames count, so pad by a list of arrays.
        channels: Size of a last axis, in which the spectrogram is repeated, for networks that take
            pictures: 1, or 3. Defaults to 0: no such axis.
        **kwargs: `name` and `dtype` (float32 by default).

    Input shape:
        Waves in [-1, 1], `[batch, samples]`.

    Output shape:
        `[batch, frames, num_mel_bins]`, or with `channels` `[batch, frames, num_mel_bins,
        channels]`, where `frames = ceil(samples / hop_length)`.

    Raises:
        ValueError: An argument is out of its range, or the waves have another shape.

    Example:
        ```python
        import numpy as np
        from keras_transgen.backbones import LogMelSpectrogram

        waves = np.sin(np.arange(8000) * 2 * np.pi * 440 / 8000)[None].astype("float32")
        assert LogMelSpectrogram(8000, num_mel_bins=40)(waves).shape == (1, 100, 40)
        ```

    Reference:
        Davis and Mermelstein, Comparison of parametric representations for monosyllabic word
        recognition in continuously spoken sentences, 1980.
    """

    def __init__(
        self,
        sample_rate: int,
        num_mel_bins: int = 64,
        frame_length: int | None = None,
        hop_length: int | None = None,
        min_frequency: float = 60.0,
        max_frequency: float | None = None,
        floor: float = 1e-6,
        normalization: str = "none",
        channels: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        frame_length = round(sample_rate * 0.025) if frame_length is None else frame_length
        hop_length = round(sample_rate * 0.01) if hop_length is None else hop_length
        highest = sample_rate / 2
        max_frequency = highest if max_frequency is None else max_frequency
        whole = {
            "sample_rate": sample_rate,
            "num_mel_bins": num_mel_bins,
            "frame_length": frame_length,
            "hop_length": hop_length,
        }
        for name, value in whole.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number from 1 up. Received: {value!r}")
        if not 0 <= min_frequency < max_frequency <= highest:
            raise ValueError(
                "Frequencies must lie from 0 to half the sample rate, the lower one first. "
                f"Received: min_frequency={min_frequency}, max_frequency={max_frequency} at "
                f"sample_rate={sample_rate}"
            )
        if not 0 < floor < math.inf:
            raise ValueError(f"floor must be a number above zero. Received: floor={floor!r}")
        if frame_length > _LONGEST_FRAME:
            raise ValueError(
                f"A frame has at most {_LONGEST_FRAME:,} samples, by default 25 ms of them. "
                f"Received: frame_length={frame_length:,} at sample_rate={sample_rate:,}"
            )
        if normalization not in NORMALIZATIONS:
            raise ValueError(
                f"normalization must be one of {NORMALIZATIONS}. Received: {normalization!r}"
            )
        if channels not in (0, 1, 3):
            raise ValueError(f"channels must be 0, 1 or 3. Received: channels={channels!r}")
        self.sample_rate, self.num_mel_bins = sample_rate, num_mel_bins
        self.frame_length, self.hop_length = frame_length, hop_length
        self.min_frequency, self.max_frequency = min_frequency, max_frequency
        self.floor, self.normalization, self.channels = floor, normalization, channels
        self.supports_masking = True
        # The next power of two, for the Fourier transform.
        self._fft_length = max(2, 1 << (frame_length - 1).bit_length())
        # Keras mirrors waves at their ends: it is given silence there, in whole hops, and what its
        # frames say of that is cut off.
        self._margin = -(-self._fft_length // (2 * hop_length))
        self._bands = keras.layers.MelSpectrogram(
            fft_length=self._fft_length,
            sequence_stride=hop_length,
            sequence_length=frame_length,
            sampling_rate=sample_rate,
            num_mel_bins=num_mel_bins,
            min_freq=min_frequency,
            max_freq=max_frequency,
            # Its decibels are held against the loudest of a whole batch.
            power_to_db=False,
            dtype="float32",
        )

    def build(self, input_shape: Any) -> None:
        """Nothing to build; looks at the shape."""
        if len(input_shape) != 2:
            raise ValueError(
                "Waves must be of shape [batch, samples]; take the mean of several channels, "
                f"x.mean(-1), before. Received: shape {tuple(input_shape)}"
            )
        self.built = True

    def call(self, waves: Any, mask: Any = None) -> Any:
        waves = silent_where_masked(ops.cast(waves, "float32"), mask)
        count = -(-ops.shape(waves)[1] // self.hop_length)
        silence = self._margin * self.hop_length
        padded = ops.pad(waves, ((0, 0), (silence, silence)))
        power = self._power(padded)[:, self._margin : self._margin + count]
        found = ops.log(power + self.floor)
        found = self._normalized(found, self.compute_mask(waves, mask))
        if self.channels:
            found = ops.repeat(found[..., None], self.channels, axis=-1)
        return ops.cast(found, self.compute_dtype)

    def _power(self, waves: Any) -> Any:
        """In mel bands, `[batch, frames, num_mel_bins]`.

        What `MelSpectrogram` gives, which squares a root: that has no gradient in silence.
        """
        real, imaginary = ops.stft(waves, self.frame_length, self.hop_length, self._fft_length)
        weights = self._bands.linear_to_mel_weight_matrix(
            self.num_mel_bins,
            self._fft_length // 2 + 1,
            self.sample_rate,
            self.min_frequency,
            self.max_frequency,
        )
        return ops.matmul(ops.square(real) + ops.square(imaginary), weights)

    def _normalized(self, found: Any, mask: Any) -> Any:
        if self.normalization == "none":
            return found
        weights = ops.ones_like(found[..., :1]) if mask is None else ops.cast(mask, "float32")
        weights = weights if mask is None else weights[..., None]
        count = ops.maximum(ops.sum(weights, axis=1, keepdims=True), 1.0)
        centred = found - ops.sum(found * weights, axis=1, keepdims=True) / count
        if self.normalization == "mean":
            return centred
        variance = ops.sum(ops.square(centred) * weights, axis=1, keepdims=True) / count
        return centred / ops.sqrt(variance + _EPSILON)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Which frames count: those whose centre does."""
        return None if previous_mask is None else previous_mask[:, :: self.hop_length]

    def compute_output_shape(self, input_shape: Any) -> Any:
        samples = input_shape[1]
        frames = None if samples is None else -(-samples // self.hop_length)
        shape = (input_shape[0], frames, self.num_mel_bins)
        return (*shape, self.channels) if self.channels else shape

    def get_config(self) -> dict[str, Any]:
        """Configuration to rebuild the layer from."""
        return {
            **super().get_config(),
            "sample_rate": self.sample_rate,
            "num_mel_bins": self.num_mel_bins,
            "frame_length": self.frame_length,
            "hop_length": self.hop_length,
            "min_frequency": self.min_frequency,
            "max_frequency": self.max_frequency,
            "floor": self.floor,
            "normalization": self.normalization,
            "channels": self.channels,
        }
