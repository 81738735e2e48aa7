"""Moves a number of the model along a schedule while it trains."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf


class Annealing(keras.callbacks.Callback):
    """Sets a variable of the model from the step of the run, before every step.

    Where one call of the training function takes several steps (`steps_per_execution`), each of
    them has its own value. The step is the one that is saved with the weights, so a resumed run
    goes on where it was. The value at the end of each epoch joins the logs under the variable's
    name. For the `beta` of a VAE the argument `beta=` takes the schedule itself; this callback is
    for every other number that a model holds in a variable, and for schedules that a saved model
    shall not carry.

    Args:
        variable: Name of a `keras.Variable` of the model, with dots for parts of parts: `"beta"`,
            `"likelihood.log_sigma"`, `"optimizer.learning_rate"`.
        schedule: From the step (int, 0 first) to the value: a function, or a schedule of
            `keras.optimizers.schedules` or of `keras_transgen.generative.beta_schedules`.

    Raises:
        ValueError: At the start of training, if the model has no such variable or counts no steps.

    Example:
        ```python
        import keras_transgen as ktg

        images, _ = ktg.datasets.load_digits()
        vae = ktg.VAE(input_shape=(8, 8, 1), latent_dim=4)
        annealing = ktg.callbacks.Annealing("beta", lambda step: min(1.0, step / 50))
        vae.fit(images, epochs=1, verbose=0, callbacks=[annealing])
        assert float(vae.beta) == 1.0
        ```

    Reference:
        Bowman et al., "Generating Sentences from a Continuous Space", 2016 (annealing the KL).
    """

    def __init__(self, variable: str, schedule: Callable[[Any], Any]) -> None:
        super().__init__()
        if not callable(schedule):
            raise ValueError(
                "schedule must be callable, from the step to a number. "
                f"Received: schedule={schedule!r}"
            )
        self.variable = variable
        self.schedule = schedule

    def on_train_begin(self, logs: dict | None = None) -> None:
        found = functools.reduce(
            lambda part, name: getattr(part, name, None), self.variable.split("."), self.model
        )
        if not isinstance(found, keras.Variable):
            raise ValueError(
                f"{type(self.model).__name__} has no variable of this name; a plain number is part "
                f"of the compiled step and cannot be moved. Received: variable={self.variable!r}"
            )
        if not hasattr(self.model, "progress"):
            raise ValueError(
                "Annealing needs a model that counts its steps, a keras_transgen model. "
                f"Received: {type(self.model)}"
            )
        self._target = found
        if self.model.steps_per_execution > 1:
            self.model.before_each_step(self._assign_at)

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        if self.model.steps_per_execution == 1:
            self._target.assign(self._value(int(self.model.progress.step.numpy())))

    def _assign_at(self, step: tf.Tensor) -> None:
        value = tf.ensure_shape(tf.numpy_function(self._value, [step], tf.float32), [])
        self._target.assign(tf.cast(value, self._target.dtype))

    def _value(self, step: Any) -> np.float32:
        return np.float32(self.schedule(int(step)))

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if logs is not None:
            logs[self.variable] = float(self._target.numpy())
