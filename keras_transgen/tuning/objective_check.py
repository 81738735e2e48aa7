"""An objective that the trials do not log is told before they train for long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner


def tuner_of(callbacks: Sequence[Any]) -> keras_tuner.Tuner | None:
    """The tuner that runs a trial; its own callback, among those of the trial, knows it."""
    tuners = [getattr(callback, "tuner", None) for callback in callbacks]
    return next((tuner for tuner in tuners if isinstance(tuner, keras_tuner.Tuner)), None)


def objective_names(objective: Any) -> list[str]:
    """What an objective reads in the logs: one name, or those of several in one."""
    return [each.name for each in getattr(objective, "objectives", [objective])]


def check_objective(
    objective: Any, advised: Any, logged: set[str], refused: set[str], callbacks: Sequence[Any]
) -> None:
    """Refuse an objective that the training to come will not log, or that `refused` names.

    Callbacks of the user may log what nobody knows of yet. Keras Tuner ends the search at a
    `FatalValueError`, where it would let other errors fail three trials.
    """
    names = objective_names(objective)
    raw = sorted(refused.intersection(names))
    if raw:
        raise keras_tuner.errors.FatalValueError(
            "The loss of one player against the other says nothing about the samples: use "
            f"objective=hypermodel.objective, {advised}. Received: an objective of {raw}"
        )
    others = [each for each in callbacks if not _is_keras_tuners(each)]
    missing = sorted(set(names) - logged)
    if missing and not others:
        raise _not_logged(missing, advised, logged)


class ObjectiveInLogs(keras.callbacks.Callback):
    """Ends a search after the first epoch whose logs lack the objective."""

    def __init__(self, objective: Any, advised: Any) -> None:
        super().__init__()
        self._names = objective_names(objective)
        self._advised = advised

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        missing = sorted(set(self._names) - set(logs or {}))
        if missing:
            raise _not_logged(missing, self._advised, set(logs or {}))


def _not_logged(missing: list[str], advised: Any, logged: set[str]) -> Exception:
    held_out = any(name.startswith("val_") for name in missing) and not any(
        name.startswith("val_") for name in logged
    )
    advice = " Give tuner.search validation_data, which it is measured on." if held_out else ""
    return keras_tuner.errors.FatalValueError(
        f"The trials do not log this objective.{advice} They log {sorted(logged)}; "
        f"objective=hypermodel.objective is {advised}. Received: an objective of {missing}"
    )


def _is_keras_tuners(callback: Any) -> bool:
    return type(callback).__module__.split(".")[0] == "keras_tuner"
