"""A training that may be stopped, killed and gone on with: its checkpoint, limits and signals."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_transgen.cli.kept_inputs import FOLDERS_OF_DATA
from keras_transgen.cli.options import UNFINISHED
from keras_transgen.cli.stop_signals import Stopped, StopSignals

if TYPE_CHECKING:
    from keras_transgen.datasets.screen import Screen

_BACKUP, _FEATURES, _RUN = "checkpoint", "features", "run.json"
# More than any training with a limit of minutes takes.
ENDLESS = 1_000_000

Minutes = Annotated[
    float | None,
    typer.Option(
        min=0.0, help="Minutes of training at most, all runs of it together.", show_default="any"
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Passes over the images.",
        show_default="20, or as many as --steps or --minutes allow",
    ),
]
Steps = Annotated[
    int | None, typer.Option(min=1, help="Steps to train, instead of --epochs.", show_default=False)
]
Restart = Annotated[
    bool, typer.Option("--restart", help="Begin anew where an earlier run was stopped or killed.")
]


def state_of_data(settings: dict[str, Any]) -> dict[str, str]:
    """A digest of the names, sizes and times of the files that settings name, as a setting.

    Args:
        settings: The files or folders are `images`, `others`, `data`, `validation` and
            `validation_images`.

    Returns:
        `{"state of the data": digest}`; `{}` where there are no files.
    """
    from keras_transgen.datasets.folder_walk import found_files

    given = [settings.get(name) for name in FOLDERS_OF_DATA]
    paths = [Path(path) for each in given if each for path in _listed(each)]
    files = [
        file
        for path in paths
        if path.exists()
        for file in (
            [each.path for each in found_files(str(path), [])] if path.is_dir() else [path]
        )
    ]
    total = hashlib.sha256()
    for file in sorted(map(str, files)):
        found = os.stat(file, follow_symlinks=True) if os.path.exists(file) else None
        told = f"{file} {found and (found.st_size, found.st_mtime_ns)}\n"
        # Names of files need not be UTF-8.
        total.update(os.fsencode(told))
    return {"state of the data": total.hexdigest()[:16]} if files else {}


def _listed(given: Any) -> list[Any]:
    return list(given) if isinstance(given, (list, tuple)) else [given]


class ResumableTraining:
    """What lies in an output folder while a training is not at its end.

    After each epoch a checkpoint is written there, from which the same command goes on. A signal
    ends the training after its step, with a checkpoint of that step.

    Args:
        output: The output folder.
        settings: What must be the same for a run to be gone on with, as JSON takes it.
        console: Where things are said.
        restart: Begin anew.
        minutes: Minutes of training at most.
        steps: Steps at most.

    Raises:
        ValueError: What lies there belongs to another run, or leads out of the folder.
    """

    def __init__(
        self,
        output: Path,
        settings: dict[str, Any],
        console: Screen,
        restart: bool = False,
        minutes: float | None = None,
        steps: int | None = None,
    ) -> None:
        from keras_transgen.datasets.whole_file import refuse_links_in

        self.output, self.console = output, console
        self.folder = output / UNFINISHED
        self.minutes, self.steps = minutes, steps
        # Whether the number of epochs is not known.
        self.is_open = False
        self.signals = StopSignals()
        self.settings = json.loads(json.dumps(settings, default=str))
        self.settings |= state_of_data(settings)
        self.seconds = 0.0
        self.logs: list[dict[str, float]] = []
        refuse_links_in(output, self.folder)
        if restart and self.folder.exists():
            self._remove()
        if self.folder.exists():
            self._go_on()

    @property
    def backup(self) -> Path:
        """Where the checkpoint lies."""
        return self.folder / _BACKUP

    @property
    def features(self) -> Path:
        """Where features lie that were extracted so far."""
        return self.folder / _FEATURES

    def _remove(self) -> None:
        others = [
            path.name
            for path in self.folder.iterdir()
            if path.name not in (_BACKUP, _FEATURES, _RUN) and not path.name.startswith(".writing-")
        ]
        if others:
            raise ValueError(
                "This folder holds files of somebody else, and is not removed. Choose another "
                f"--output. Received: {others[0]!r} in {self.folder}"
            )
        shutil.rmtree(self.folder)

    def _go_on(self) -> None:
        try:
            before = json.loads((self.folder / _RUN).read_text(encoding="utf-8"))
            settings, self.seconds = before["settings"], float(before["seconds"])
            self.logs = [
                # JSON has no NaN.
                {name: math.nan if value is None else float(value) for name, value in each.items()}
                for each in before["logs"]
            ]
            other = {
                str(name)
                for name in settings | self.settings
                if settings.get(name) != self.settings.get(name)
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise ValueError(
                "The output folder holds an unfinished run that cannot be read. Begin anew with "
                f"--restart, or choose another --output. Received: {self.folder}"
            ) from None
        if other:
            told = ", ".join(
                f"{name} {self.settings.get(name)} instead of {settings.get(name)}"
                for name in sorted(other)
            )
            raise ValueError(
                "The output folder holds an unfinished run with other data or options. Give the "
                "same ones to go on with it, --restart to begin anew, or another --output. "
                f"Received: {told}"
            )
        self.console.print(f"Going on with the unfinished run in {self.output}")

    def __enter__(self) -> ResumableTraining:
        self.signals.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.signals.__exit__(*error)
        if isinstance(error[1], ValueError) and self._holds_nothing():
            # Refused before anything was trained: the corrected command need not be told of it.
            shutil.rmtree(self.folder)
        if isinstance(error[1], Stopped) and not error[1].told:
            error[1].told = True
            self.console.print(f"Stopped by a signal. {self._how_to_go_on()}", soft_wrap=True)

    def _holds_nothing(self) -> bool:
        """Whether the folder says whose run it is, and has nothing yet that took time."""
        return self.folder.is_dir() and {path.name for path in self.folder.iterdir()} <= {_RUN}

    def callbacks(self) -> list[Any]:
        """The callbacks that `fit` needs, before any others."""
        from keras_transgen.cli.checkpoint import Checkpoint, OpenProgress, StoppedProgress

        self.remember(self.seconds)
        progress = OpenProgress if self.is_open else StoppedProgress
        return [Checkpoint(self, str(self.backup)), progress()]

    def epochs(self, epochs: int | None, data: Any, default: int) -> int:
        """How many epochs `fit` is told, given the limits.

        Args:
            epochs: What the user says.
            data: A data set of batches, or how many batches there are.
            default: Where neither epochs nor limits are given.
        """
        if epochs is not None:
            return epochs
        found = default if self.minutes is None else ENDLESS
        if self.steps is not None:
            batches = data if isinstance(data, int) else int(data.cardinality())
            found = -(-self.steps // batches) if batches > 0 else ENDLESS
        self.is_open = found == ENDLESS
        return found

    def remember(
        self, seconds: float, epoch: int | None = None, logs: Mapping[str, Any] | None = None
    ) -> None:
        """Write down whose checkpoint it is, how long it took so far, and what an epoch logged.

        Args:
            seconds: Of training, in all runs.
            epoch: Number of an epoch that ended, from 0; `None` for none.
            logs: What it logged.
        """
        from keras_transgen.training import write_whole_json

        self.seconds = seconds
        if epoch is not None and logs:
            # An epoch that a run before had begun is logged again at its end.
            del self.logs[epoch:]
            self.logs.append({name: float(value) for name, value in logs.items()})
        value = {"settings": self.settings, "seconds": seconds, "logs": self.logs}
        write_whole_json(self.folder / _RUN, value)

    def curves(self) -> dict[str, list[float]]:
        """What was logged in all epochs of all runs, by name."""
        names = set.intersection(*map(set, self.logs)) if self.logs else set()
        return {name: [logs[name] for logs in self.logs] for name in sorted(names)}

    def _how_to_go_on(self) -> str:
        if not self.folder.exists():
            return f"Nothing was saved in {self.output}."
        return "The same command goes on from the last checkpoint; --restart begins anew."

    def end(self) -> None:
        """After everything is written: forget the checkpoint, or end as the signal wants.

        Raises:
            Stopped: A signal came.
        """
        if self.signals.received is None:
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        self.console.print(
            f"Stopped by a signal: {self.output} holds what there is so far. "
            f"{self._how_to_go_on()}",
            soft_wrap=True,
        )
        raise Stopped(self.signals.received, told=True)


def preview_interval(epochs: int | None) -> int:
    """Epochs from one preview to the next: ten in all, or every tenth where there is no end."""
    return 10 if epochs is None or epochs == ENDLESS else max(1, epochs // 10)


def refuse_two_lengths(epochs: int | None, steps: int | None) -> None:
    """Refuse a length of the training in epochs and in steps.

    Raises:
        ValueError: Both are given.
    """
    if epochs is not None and steps is not None:
        raise ValueError(
            "The length of a training is said once: leave out --epochs or --steps. "
            f"Received: --epochs {epochs} --steps {steps}"
        )
