"""Where a run stands, kept with the weights so that a killed run goes on at the step it reached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_transgen.training.moving_statistics import synchronize_statistics


class Progress:
    """Counters of a run: its seed, its step, the step within the epoch, the first bad step.

    They are saved with the weights of a model but are none of them: they are neither counted nor
    shown as parameters.
    """

    def __init__(self) -> None:
        seed = int(np.asarray(keras.random.SeedGenerator().state)[0])
        self.seed = _counter(seed, "seed")
        self.step = _counter(0, "step")
        self.step_in_epoch = _counter(0, "step_in_epoch")
        self.test_step = _counter(0, "test_step")
        self.first_bad_step = _counter(-1, "first_bad_step")
        self.steps_to_skip = 0

    def epoch_start(self) -> int:
        """The step at which the current epoch began."""
        return int(self.step.numpy()) - int(self.step_in_epoch.numpy())

    def state(self) -> np.ndarray:
        """The counters as one int64 array, for a weights file."""
        saved = (self.seed, self.step, self.step_in_epoch)
        return np.array([int(counter.numpy()) for counter in saved], "int64")

    def restore(self, state: Any) -> None:
        """Take over the counters of a weights file."""
        seed, step, step_in_epoch = (int(value) for value in np.asarray(state))
        self.seed.assign(seed)
        self.step.assign(step)
        self.step_in_epoch.assign(step_in_epoch)


def _counter(value: int, name: str) -> keras.Variable:
    return keras.Variable(
        np.int64(value),
        dtype="int64",
        trainable=False,
        name=name,
        aggregation="only_first_replica",
    )


class EpochMarker(keras.callbacks.Callback):
    """Runs before the user's callbacks: an epoch that is saved as finished is marked so."""

    def on_train_begin(self, logs: dict | None = None) -> None:
        # Where `BackupAndRestore` resumed an earlier `fit`, Keras would begin this one at that same
        # epoch, and perhaps train nothing. There is no public place to reset; test_resume.py tells
        # when the private one moves.
        self.model._initial_epoch = None

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if not self.model.progress.steps_to_skip:
            self.model.progress.step_in_epoch.assign(0)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.model.progress.step_in_epoch.assign(0)
        synchronize_statistics(self.model)


class EpochResumer(keras.callbacks.Callback):
    """Runs after the user's callbacks: if one restored a run inside an epoch, go on there.

    `BackupAndRestore(save_freq=n)` restores the weights of a step but starts its epoch anew, which
    would train on the first batches twice. The batches already seen are passed over instead.

    A data set that shuffles draws an order for each pass, and begins with the first one's in a new
    process: as many passes as there were are begun and left, which takes no batch of them.

    Args:
        given: The user's callbacks.
        passed: The data set (`tf.data`), where each epoch is a pass over it.
    """

    def __init__(
        self,
        given: Sequence[keras.callbacks.Callback] = (),
        passed: Any = None,
    ) -> None:
        super().__init__()
        self._passed = passed
        self._backups = [
            each for each in given if isinstance(each, keras.callbacks.BackupAndRestore)
        ]

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        # It counts epochs when they end, from 0 on in a new process: in the epoch that it resumed
        # it would write epoch 0, and a run killed again would begin there. There is no public
        # place; tests/training/test_progress.py tells when the private one moves.
        for each in self._backups:
            each._current_epoch = epoch

    def on_train_begin(self, logs: dict | None = None) -> None:
        progress = self.model.progress
        progress.steps_to_skip = int(progress.step_in_epoch.numpy())
        if self._passed is not None:
            # Where `BackupAndRestore` goes on; see `EpochMarker`. Keras begins a second pass at the
            # end of an epoch of known length, and leaves it; test_progress.py holds the count.
            begun = 2 if int(self._passed.cardinality()) >= 0 else 1
            for _ in range(begun * (self.model._initial_epoch or 0)):
                iter(self._passed)
