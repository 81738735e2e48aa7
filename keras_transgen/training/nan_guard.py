"""A loss that is no longer a number stops training, and says where and what to do."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf


class NonFiniteLossError(ArithmeticError):
    """Training reached a NaN or infinite loss.

    Attributes:
        step: The first step, counted from 1, whose loss was not finite.
        logs: The logs at that moment.
        checkpoint: The newest checkpoint written before it, or `None`.
    """

    def __init__(self, step: int, logs: dict[str, float], checkpoint: str | None) -> None:
        self.step = step
        self.logs = logs
        self.checkpoint = checkpoint
        shown = ", ".join(f"{name}={value:.6g}" for name, value in logs.items())
        saved = (
            f"The last good checkpoint is {checkpoint}."
            if checkpoint
            else "No checkpoint was written: add keras.callbacks.BackupAndRestore or "
            "ModelCheckpoint to keep the last good weights."
        )
        super().__init__(
            f"The loss became NaN or infinite at step {step} ({shown}). {saved} Lower the learning "
            "rate, clip gradients (clipnorm=1.0), or check the data for extreme values."
        )


def first_bad_step(logs: dict[str, tf.Tensor], step: tf.Tensor, before: tf.Tensor) -> tf.Tensor:
    """The first step with a loss that is not finite, or -1; runs inside the training function.

    Args:
        logs: The step's logs; those whose name ends in `loss` are looked at.
        step: The number of the step just taken.
        before: The first bad step known before, or -1.
    """
    losses = [value for name, value in logs.items() if name.endswith("loss")]
    if not losses:
        return before
    finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(value)) for value in losses])
    return tf.where(finite | (before >= 0), before, tf.cast(step, before.dtype))


class NaNGuard(keras.callbacks.Callback):
    """Stops `fit` at a loss that is not finite; every model of the package carries it.

    It runs before the user's callbacks, so that none of them saves the weights of a broken step.

    Args:
        every: Look after this many batches. The default looks after each one on a CPU and after
            every 20 on a GPU, where looking waits for the device; the step named is exact anyway.
    """

    def __init__(self, every: int | None = None) -> None:
        super().__init__()
        self.every = every or (20 if tf.config.list_physical_devices("GPU") else 1)
        self._watched: list[keras.callbacks.Callback] = []

    def watch(self, callbacks: list[keras.callbacks.Callback]) -> None:
        """Name these callbacks' files as checkpoints when training stops."""
        self._watched = list(callbacks)

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.model.progress.first_bad_step.assign(-1)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if batch % self.every == 0:
            self._check(logs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._check(logs)

    def _check(self, logs: dict[str, Any] | None) -> None:
        step = int(self.model.progress.first_bad_step.numpy())
        if step < 0:
            return
        numbers = {
            name: float(np.asarray(value))
            for name, value in (logs or {}).items()
            if np.ndim(value) == 0
        }
        raise NonFiniteLossError(step, numbers, self._last_checkpoint())

    def _last_checkpoint(self) -> str | None:
        found = []
        for callback in self._watched:
            folder = getattr(callback, "backup_dir", None)
            path = f"{folder}/latest.weights.h5" if folder else getattr(callback, "filepath", None)
            if isinstance(path, str):
                found += tf.io.gfile.glob(path.split("{")[0] + ("*" if "{" in path else ""))
        return max(found, key=lambda path: tf.io.gfile.stat(path).mtime_nsec, default=None)
