"""Tuners whose trials go on where they were stopped or killed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras_tuner

from keras_transgen.cli.checkpoint import Checkpoint
from keras_transgen.cli.options import UNFINISHED
from keras_transgen.cli.resumable import ResumableTraining
from keras_transgen.cli.tune_record import SearchRecord

# In the folder of a trial that was gone on with: the weights of its best epoch in all runs.
_BEST = "best_of_all_runs.weights.h5"


class TrialTraining(ResumableTraining):
    """The training of a trial, within the time and the signals of its search.

    Args:
        folder: The trial's.
        search: The search's record.
        console: Where it is said that a trial is gone on with.
    """

    def __init__(self, folder: Path, search: SearchRecord, console: Any) -> None:
        super().__init__(folder, {}, console, minutes=search.minutes, steps=search.steps)
        self.search, self.signals = search, search.signals
        self.is_gone_on_with = bool(self.logs)

    def remember(
        self, seconds: float, epoch: int | None = None, logs: Mapping[str, Any] | None = None
    ) -> None:
        """As any training does; and the search how long it took."""
        super().remember(seconds, epoch, logs)
        self.search.remember()


class TrialCheckpoint(Checkpoint):
    """A checkpoint of a trial, with the weights of its best epoch.

    The tuner keeps these too, but begins to compare in each run.

    Args:
        run: The training.
        objective: What makes one epoch better than another.
    """

    def __init__(self, run: TrialTraining, objective: Any) -> None:
        super().__init__(run, str(run.backup))
        self.training, self.objective = run, objective
        self._is_last = False

    def __deepcopy__(self, memo: dict) -> TrialCheckpoint:
        """Keras Tuner copies callbacks for each trial; this one is of one trial."""
        return self

    def on_train_begin(self, logs: dict | None = None) -> None:
        # The time of the search goes on between its trials.
        self.training.seconds = self.training.search.seconds()
        super().on_train_begin(logs)
        if self._is_interrupted():
            self._interrupt()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        best = self._best([*self.training.logs[:epoch], logs or {}])
        kept = self._weights(best)
        if best == epoch:
            kept.parent.mkdir(parents=True, exist_ok=True)
            self.model.save_weights(kept)
        self._is_last = epoch + 1 == (self.params or {}).get("epochs")
        try:
            super().on_epoch_end(epoch, logs)
        finally:
            # Until the checkpoint is that of this epoch, the one before may be gone back to.
            for other in self.training.folder.glob("best-*.weights.h5"):
                if other != kept:
                    other.unlink()

    def keep_best(self, place: Path) -> None:
        """Move the best epoch's weights to where they stay."""
        weights = self._weights(self._best(self.training.logs))
        if weights.exists():
            os.replace(weights, place)

    def _interrupt(self) -> None:
        if not self._is_last:
            self.training.search.end_with_time_or_signal()

    def _weights(self, epoch: int) -> Path:
        return self.training.folder / f"best-{epoch}.weights.h5"

    def _best(self, logs: list[Any]) -> int:
        values = [self.objective.get_value(each) for each in logs]
        best = 0
        for epoch, value in enumerate(values):
            if self.objective.better_than(value, values[best]):
                best = epoch
        return best


class ResumableTrials(keras_tuner.Tuner):
    """A tuner whose trials go on where they were stopped or killed; for a class with another.

    Attributes:
        record: The search's record, with its limits and signals.
        console: Where it is said that a trial is gone on with.
    """

    record: SearchRecord
    console: Any

    def pre_create_trial(self) -> None:
        """Begin no trial for which there is no time."""
        super().pre_create_trial()
        self.record.end_with_time_or_signal()

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
        """Train the model of a trial, from its checkpoint on where there is one."""
        folder = Path(self.get_trial_dir(trial.trial_id))
        run = TrialTraining(folder, self.record, self.console)
        checkpoint = TrialCheckpoint(run, self.oracle.objective)
        run.remember(self.record.seconds())
        callbacks = [checkpoint, *kwargs.pop("callbacks", [])]
        try:
            histories = super().run_trial(trial, *args, callbacks=callbacks, **kwargs)
        finally:
            self.record.signals.waits = False
        for history in histories:
            history.history = run.curves()
        if run.is_gone_on_with:
            checkpoint.keep_best(folder / _BEST)
        return histories

    def on_trial_end(self, trial: Any) -> None:
        """Report the trial; then its checkpoint is of no use."""
        super().on_trial_end(trial)
        folder = Path(self.get_trial_dir(trial.trial_id))
        # With what a kill left of a file that was being written beside its place.
        for left in (folder / UNFINISHED, *folder.glob(".writing-*")):
            shutil.rmtree(left, ignore_errors=True)

    def load_model(self, trial: Any) -> Any:
        """The model of a trial, with the weights of its best epoch in all runs."""
        model = super().load_model(trial)
        best = Path(self.get_trial_dir(trial.trial_id)) / _BEST
        if best.exists():
            model.load_weights(best)
        return model


class _RandomSearch(ResumableTrials, keras_tuner.RandomSearch):
    pass


class _BayesianOptimization(ResumableTrials, keras_tuner.BayesianOptimization):
    pass


class _GridSearch(ResumableTrials, keras_tuner.GridSearch):
    pass


TUNERS: dict[str, type[ResumableTrials]] = {
    "random": _RandomSearch,
    "bayesian": _BayesianOptimization,
    "grid": _GridSearch,
}
