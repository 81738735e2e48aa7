"""Recordings varied while they are trained on: moved in time, and with noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_transgen.backbones.sound.wave_mask import silent_where_masked, sums_that_count

_LEAST_POWER = 1e-20


class WaveAugmentation(keras.layers.Layer):
    """Alters waves `[batch, samples]` in training, with random numbers of its own seed.

    Args:
        seed: Of the random numbers; `None` draws one by Keras' own generator.
        **kwargs: As in `keras.layers.Layer`.
    """

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Nothing to build; looks at the shape."""
        if len(input_shape) != 2:
            raise ValueError(
                "Waves must be of shape [batch, samples]. "
                f"Received: shape {tuple(input_shape)} for {type(self).__name__}"
            )
        self.built = True

    def call(self, waves: Any, mask: Any = None, training: bool = False) -> Any:
        waves = ops.cast(waves, self.compute_dtype)
        return silent_where_masked(self.altered(waves, mask), mask) if training else waves

    def altered(self, waves: Any, mask: Any) -> Any:
        """The waves, altered.

        Args:
            waves: `[batch, samples]`.
            mask: Which samples count, or `None`.
        """
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Configuration to rebuild the layer from."""
        return {**super().get_config(), "seed": self.seed}


@keras.saving.register_keras_serializable(package="keras_transgen")
class RandomTimeShift(WaveAugmentation):
    """Moves each recording earlier or later by a random number of samples; silence moves in.

    Args:
        samples: Most samples; each of the `2 * samples + 1` shifts is as likely.
        seed: Of the shifts.
        **kwargs: As in `keras.layers.Layer`.

    Input shape:
        Waves `[batch, samples]`; padding that is masked stays silent.

    Raises:
        ValueError: `samples` is no whole number from 0 up.

    Example:
        ```python
        import numpy as np
        from keras_transgen.backbones import RandomTimeShift

        click = np.eye(8, dtype="float32")[3:4]
        moved = np.asarray(RandomTimeShift(2, seed=0)(click, training=True))
        assert abs(moved.argmax() - 3) <= 2 and moved.sum() == 1.0
        ```
    """

    def __init__(self, samples: int, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        if isinstance(samples, bool) or not isinstance(samples, int) or samples < 0:
            raise ValueError(
                "samples must be a whole number from 0 up; of seconds, take int(seconds * "
                f"sample_rate). Received: samples={samples!r}"
            )
        self.samples = samples

    def altered(self, waves: Any, mask: Any) -> Any:
        batch, length = ops.shape(waves)
        shifts = keras.random.randint(
            (batch, 1), -self.samples, self.samples + 1, "int32", self.seed_generator
        )
        source = ops.arange(length, dtype="int32")[None] - shifts
        inside = ops.logical_and(source >= 0, source < length)
        moved = ops.take_along_axis(waves, ops.clip(source, 0, length - 1), axis=1)
        return ops.where(inside, moved, ops.zeros_like(moved))

    def get_config(self) -> dict[str, Any]:
        """Configuration to rebuild the layer from."""
        return {**super().get_config(), "samples": self.samples}


@keras.saving.register_keras_serializable(package="keras_transgen")
class RandomNoise(WaveAugmentation):
    """Adds white noise to each recording, at a random signal-to-noise ratio.

    The ratio is that of the powers over the samples that count, 10 log10(signal / noise), and is
    met exactly. Silence stays silent.

    Args:
        decibels: Lowest and highest ratio, between which all are as likely. Defaults to
            `(10.0, 40.0)`: well heard to hardly heard.
        seed: Of ratios and noise.
        **kwargs: As in `keras.layers.Layer`.

    Input shape:
        Waves `[batch, samples]`; padding that is masked stays silent.

    Raises:
        ValueError: `decibels` are no two numbers, the lower first.

    Example:
        ```python
        import numpy as np
        from keras_transgen.backbones import RandomNoise

        wave = np.sin(np.arange(1000, dtype="float32"))[None]
        noise = np.asarray(RandomNoise((20.0, 20.0), seed=0)(wave, training=True)) - wave
        assert np.isclose(10 * np.log10((wave**2).sum() / (noise**2).sum()), 20, atol=1e-3)
        ```
    """

    def __init__(
        self,
        decibels: Sequence[float] = (10.0, 40.0),
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, **kwargs)
        is_pair = isinstance(decibels, (list, tuple)) and len(decibels) == 2
        if not is_pair or not decibels[0] <= decibels[1]:
            raise ValueError(
                "decibels must be the lowest and the highest signal-to-noise ratio. "
                f"Received: decibels={decibels!r}"
            )
        self.decibels = (float(decibels[0]), float(decibels[1]))

    def altered(self, waves: Any, mask: Any) -> Any:
        batch = ops.shape(waves)[0]
        ratio = keras.random.uniform((batch, 1), *self.decibels, seed=self.seed_generator)
        noise = keras.random.normal(ops.shape(waves), seed=self.seed_generator)
        (signal, _), (own, _) = (sums_that_count(ops.square(each), mask) for each in (waves, noise))
        wanted = signal * ops.power(10.0, -ratio / 10.0)
        return waves + noise * ops.sqrt(wanted / ops.maximum(own, _LEAST_POWER))

    def get_config(self) -> dict[str, Any]:
        """Configuration to rebuild the layer from."""
        return {**super().get_config(), "decibels": self.decibels}
