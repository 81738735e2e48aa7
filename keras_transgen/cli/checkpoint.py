"""Keras' backup of a training, which also ends it when it is told to, or when it is long enough."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import keras


class Run(Protocol):
    """Whose checkpoint it is: `ResumableTraining`.

    Attributes:
        signals: What was received.
        seconds: How long the training took in earlier runs.
        minutes: How long it may take in all; `None` for any time.
        steps: How many steps it may take; `None` for any number.
    """

    signals: Any
    seconds: float
    minutes: float | None
    steps: int | None

    def remember(
        self, seconds: float, epoch: int | None = None, logs: Mapping[str, Any] | None = None
    ) -> None:
        """Write down how long it took so far, and what an epoch logged."""


class Checkpoint(keras.callbacks.BackupAndRestore):
    """A checkpoint after each epoch, and after the step at which a signal or the time ends it.

    Args:
        run: Whose signals, limits and folder they are.
        folder: Where the checkpoint lies.
    """

    def __init__(self, run: Run, folder: str) -> None:
        # A kill after the first of these leaves the new checkpoint whole, or none of it.
        place = Path(folder)
        self._written, self._before = (
            place.with_name(f".writing-{name}-{place.name}") for name in ("new", "old")
        )
        shutil.rmtree(self._written, ignore_errors=True)
        if self._before.exists() and not place.exists():
            os.replace(self._before, place)
        shutil.rmtree(self._before, ignore_errors=True)
        super().__init__(folder, delete_checkpoint=False)
        self.run = run
        self._started = 0.0
        self._within_epoch = False

    def on_train_begin(self, logs: dict | None = None) -> None:
        try:
            super().on_train_begin(logs)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                "The output folder holds an unfinished run whose checkpoint cannot be read. Begin "
                f"anew with --restart. Received: {self.backup_dir} ({error!s:.200})"
            ) from error
        self._started = time.monotonic() - self.run.seconds
        self.run.signals.waits = True

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        # The end of an epoch writes a checkpoint anyway.
        if self._is_interrupted() and batch + 1 != (self.params or {}).get("steps"):
            self._within_epoch = True
            # There is no public place; tests/cli/test_resumable.py tells when it moves.
            self._save_model()
            self._interrupt()
        elif self._has_all_steps():
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.run.remember(time.monotonic() - self._started, epoch, logs)
        if not self._within_epoch:
            super().on_epoch_end(epoch, logs)
        if self._has_all_steps():
            self.model.stop_training = True
        elif self._is_interrupted():
            self._interrupt()

    def on_train_end(self, logs: dict | None = None) -> None:
        self.run.signals.waits = False

    def _save_model(self) -> None:
        """Keras writes weights and epoch one after the other into files that were there before."""
        places = self._weights_path, self._training_metadata_path
        self._weights_path, self._training_metadata_path = (
            str(self._written / Path(place).name) for place in places
        )
        try:
            self._written.mkdir(parents=True, exist_ok=True)
            super()._save_model()
        finally:
            self._weights_path, self._training_metadata_path = places
        if os.path.exists(self.backup_dir):
            os.replace(self.backup_dir, self._before)
        os.replace(self._written, self.backup_dir)
        shutil.rmtree(self._before, ignore_errors=True)

    def _interrupt(self) -> None:
        """End the training before it has all its epochs and steps."""
        self.model.stop_training = True

    def _is_interrupted(self) -> bool:
        minutes = self.run.minutes
        is_over = minutes is not None and time.monotonic() - self._started >= 60 * minutes
        return is_over or self.run.signals.received is not None

    def _has_all_steps(self) -> bool:
        steps = self.run.steps
        return steps is not None and int(self.model.progress.step.numpy()) >= steps


class StoppedProgress(keras.callbacks.ProgbarLogger):
    """The progress of a training that may end within an epoch, which then had fewer steps."""

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if self.target is not None and self.seen < self.target:
            self.target = self.seen
            if self.progbar is not None:
                self.progbar.target = self.seen
        super().on_epoch_end(epoch, logs)


class OpenProgress(StoppedProgress):
    """That of a training that ends by its steps or its time: epochs without a last one."""

    def set_params(self, params: dict) -> None:
        # Of a single epoch Keras says no number.
        super().set_params({**params, "epochs": 1})

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        if self.verbose:
            print(f"Epoch {epoch + 1}")
