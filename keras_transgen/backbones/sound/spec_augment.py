"""Bands of a spectrogram hidden while it is trained on."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_transgen")
class SpecAugment(keras.layers.Layer):
    """Hides stretches of frames and bands of frequency, each at random, in training.

    What is hidden is the mean of the spectrogram over the frames that count. The paper's warping
    of time, which it finds to matter least, is left out.

    Give it as `augmentation=` where spectrograms are the data (made once by `LogMelSpectrogram`),
    or as the first layer of a network of one's own.

    Args:
        frequency_masks: Bands hidden. Defaults to 2.
        frequency_width: Most bins of a band; 0 to it are as likely. Defaults to 8.
        time_masks: Stretches hidden. Defaults to 2.
        time_width: Most frames of a stretch. Defaults to 20.
        time_share: Most frames of a stretch as a share of those that count. Defaults to 0.2.
        seed: Of the random numbers; `None` draws one by Keras' own generator.
        **kwargs: As in `keras.layers.Layer`.

    Input shape:
        `[batch, frames, bins]` or `[batch, frames, bins, channels]`.

    Raises:
        ValueError: An argument is out of its range.

    Example:
        ```python
        import numpy as np
        from keras_transgen.backbones import SpecAugment

        spectrograms = np.random.default_rng(0).normal(size=(2, 50, 40)).astype("float32")
        hidden = SpecAugment(seed=0)(spectrograms, training=True)
        assert hidden.shape == spectrograms.shape
        ```

    Reference:
        Park et al., SpecAugment: A Simple Data Augmentation Method for Automatic Speech
        Recognition, 2019.
    """

    def __init__(
        self,
        frequency_masks: int = 2,
        frequency_width: int = 8,
        time_masks: int = 2,
        time_width: int = 20,
        time_share: float = 0.2,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        whole = {
            "frequency_masks": frequency_masks,
            "frequency_width": frequency_width,
            "time_masks": time_masks,
            "time_width": time_width,
        }
        for name, value in whole.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ValueError(f"{name} must be a whole number from 0 up. Received: {value!r}")
        if not 0 <= time_share <= 1:
            raise ValueError(f"time_share must be from 0 to 1. Received: {time_share!r}")
        self.frequency_masks, self.frequency_width = frequency_masks, frequency_width
        self.time_masks, self.time_width = time_masks, time_width
        self.time_share, self.seed = time_share, seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Nothing to build; looks at the shape."""
        if len(input_shape) not in (3, 4):
            raise ValueError(
                "Spectrograms must be of shape [batch, frames, bins] or [batch, frames, bins, "
                f"channels]. Received: shape {tuple(input_shape)}"
            )
        self.built = True

    def call(self, spectrograms: Any, mask: Any = None, training: bool = False) -> Any:
        x = ops.cast(spectrograms, self.compute_dtype)
        if not training:
            return x
        batch, frames, bins = ops.shape(x)[:3]
        counts = ops.ones_like(x[:, :, 0] if len(x.shape) == 3 else x[:, :, 0, 0])
        if mask is not None:
            counts = ops.cast(mask, counts.dtype)
        there = ops.sum(counts, axis=1)
        hidden = ops.zeros((batch, frames, bins), "bool")
        for _ in range(self.frequency_masks):
            most = ops.minimum(float(self.frequency_width), ops.cast(bins, "float32"))
            band = self._stretch(batch, bins, most, ops.cast(bins, "float32"))
            hidden = ops.logical_or(hidden, band[:, None, :])
        for _ in range(self.time_masks):
            most = ops.minimum(float(self.time_width), ops.floor(self.time_share * there))
            stretch = self._stretch(batch, frames, most, there)
            hidden = ops.logical_or(hidden, stretch[:, :, None])
        axes = (1, 2, 3)[: len(x.shape) - 1]
        weights = ops.reshape(counts, (batch, frames, *[1] * (len(x.shape) - 2)))
        cells = ops.sum(weights * ops.ones_like(x), axis=axes, keepdims=True)
        mean = ops.sum(x * weights, axis=axes, keepdims=True) / ops.maximum(cells, 1.0)
        return ops.where(hidden if len(x.shape) == 3 else hidden[..., None], mean, x)

    def _stretch(self, batch: Any, length: Any, most: Any, within: Any) -> Any:
        """Up to `most` places in a row within the first `within`, bool `[batch, length]`."""
        draws = keras.random.uniform((2, batch), seed=self.seed_generator)
        size = ops.minimum(ops.floor(draws[0] * (most + 1.0)), most)
        start = ops.floor(draws[1] * (within - size + 1.0))
        places = ops.arange(length, dtype="float32")[None]
        return ops.logical_and(places >= start[:, None], places < (start + size)[:, None])

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Configuration to rebuild the layer from."""
        return {
            **super().get_config(),
            "frequency_masks": self.frequency_masks,
            "frequency_width": self.frequency_width,
            "time_masks": self.time_masks,
            "time_width": self.time_width,
            "time_share": self.time_share,
            "seed": self.seed,
        }
