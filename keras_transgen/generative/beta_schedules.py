"""How the weight of the KL term moves over the steps of a run."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

Schedule = keras.optimizers.schedules.LearningRateSchedule


@keras.saving.register_keras_serializable(package="keras_transgen")
class LinearWarmup(keras.optimizers.schedules.LearningRateSchedule):
    """From one value to another in equal steps, and constant from there on.

    Args:
        warmup_steps: Steps that the way takes, at least 1.
        start: First value. Defaults to 0.
        end: Last value. Defaults to 1.

    Raises:
        ValueError: If `warmup_steps` is less than 1.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.generative.beta_schedules import LinearWarmup

        vae = ktg.VAE(input_shape=(64,), latent_dim=4, beta=LinearWarmup(1000))
        ```

    Reference:
        Sønderby et al., "Ladder Variational Autoencoders", 2016.
    """

    def __init__(self, warmup_steps: int, start: float = 0.0, end: float = 1.0) -> None:
        super().__init__()
        self.warmup_steps = _checked_steps("warmup_steps", warmup_steps)
        self.start = start
        self.end = end

    def __call__(self, step: Any) -> tf.Tensor:
        done = tf.minimum(tf.cast(step, tf.float32) / self.warmup_steps, 1.0)
        return self.start + (self.end - self.start) * done

    def get_config(self) -> dict[str, Any]:
        return {"warmup_steps": self.warmup_steps, "start": self.start, "end": self.end}


@keras.saving.register_keras_serializable(package="keras_transgen")
class CyclicalWarmup(keras.optimizers.schedules.LearningRateSchedule):
    """A linear warm-up that begins anew every cycle.

    Args:
        cycle_steps: Steps of one cycle, at least 1.
        warmup_share: Share of a cycle in which the value rises, in (0, 1]. Defaults to 0.5.
        start: Value at the start of a cycle. Defaults to 0.
        end: Value at its end. Defaults to 1.

    Raises:
        ValueError: If an argument is out of its range.

    Reference:
        Fu et al., "Cyclical Annealing Schedule: A Simple Approach to Mitigating KL Vanishing",
        2019.
    """

    def __init__(
        self, cycle_steps: int, warmup_share: float = 0.5, start: float = 0.0, end: float = 1.0
    ) -> None:
        super().__init__()
        self.cycle_steps = _checked_steps("cycle_steps", cycle_steps)
        if not 0.0 < warmup_share <= 1.0:
            raise ValueError(
                f"warmup_share must be in (0, 1]. Received: warmup_share={warmup_share}"
            )
        self.warmup_share = warmup_share
        self.start = start
        self.end = end

    def __call__(self, step: Any) -> tf.Tensor:
        # The remainder is taken of integers: float32 loses single steps in long runs.
        in_cycle = tf.cast(tf.cast(step, tf.int64) % self.cycle_steps, tf.float32)
        done = tf.minimum(in_cycle / (self.cycle_steps * self.warmup_share), 1.0)
        return self.start + (self.end - self.start) * done

    def get_config(self) -> dict[str, Any]:
        return {
            "cycle_steps": self.cycle_steps,
            "warmup_share": self.warmup_share,
            "start": self.start,
            "end": self.end,
        }


def _checked_steps(name: str, steps: int) -> int:
    if steps < 1:
        raise ValueError(f"{name} must be at least 1. Received: {name}={steps}")
    return int(steps)
