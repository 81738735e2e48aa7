"""A learning rate whose height and length are set from outside: one graph runs all trials."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from keras_transgen.transfer.schedules import LAST_SHARE


@keras.saving.register_keras_serializable(package="keras_transgen")
class TrialRate(keras.optimizers.schedules.LearningRateSchedule):
    """`warm_up_and_decay` whose rate and length are set from outside, so one graph runs all trials.

    Args:
        share: Factor of the rate, for one group of parameters.
    """

    def __init__(self, share: float = 1.0) -> None:
        self.share = share
        self.settings = keras.Variable([0.0, 1.0, 1.0, 0.0], dtype="float32", trainable=False)

    def set(self, rate: float, steps: int, warm_up: float, decays: bool) -> None:
        """Say what the next trial is: its highest rate, its length, and whether the rate falls."""
        rising = round(steps * warm_up) if decays else max(3, round(steps * warm_up))
        self.settings.assign([rate, rising, steps, float(decays)])

    def with_share(self, share: float) -> TrialRate:
        """The same, times a factor; set together."""
        other = TrialRate(share)
        other.settings = self.settings
        return other

    def __call__(self, step: Any) -> Any:
        """The learning rate at a step."""
        rate, rising, steps, decays = tf.unstack(tf.convert_to_tensor(self.settings.value))
        step = tf.cast(step, tf.float32)
        rise = (step + 1.0) / (rising + 1.0)
        through = tf.clip_by_value((step - rising) / tf.maximum(steps - rising, 1.0), 0.0, 1.0)
        fall = LAST_SHARE + (1.0 - LAST_SHARE) * 0.5 * (1.0 + tf.cos(math.pi * through))
        later = tf.where(decays > 0.0, fall, 1.0)
        return self.share * rate * tf.where(step < rising, rise, later)

    def get_config(self) -> dict[str, Any]:
        """Configuration to rebuild the schedule from."""
        return {"share": self.share}
