"""The default optimizer of models of sequences."""

from __future__ import annotations

import keras

_RATE = 1e-3
_WARM_UP_SHARE, _MOST_WARM_UP = 0.1, 100


def scheduled_adamw(steps: int | None = None, rate: float = _RATE) -> keras.optimizers.Optimizer:
    """AdamW with gradients clipped at a norm of 1; the rate warms up and falls to a tenth.

    Args:
        steps: Of the whole training; `None` keeps the rate as it is.
        rate: The highest one. Defaults to 0.001.

    Reference:
        Loshchilov and Hutter, "Decoupled weight decay regularization", 2019.
    """
    schedule: float | keras.optimizers.schedules.LearningRateSchedule = rate
    if steps is not None and steps > 1:
        warm_up = max(1, min(_MOST_WARM_UP, int(_WARM_UP_SHARE * steps)))
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0, steps - warm_up, alpha=0.1, warmup_target=rate, warmup_steps=warm_up
        )
    return keras.optimizers.AdamW(schedule, beta_2=0.99, weight_decay=0.1, global_clipnorm=1.0)
