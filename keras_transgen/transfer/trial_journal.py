"""The losses of finished trials on the disk, so that a search goes on after a kill."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from keras_transgen.training.whole_file import write_whole_json


class TrialJournal:
    """Losses by trial: those written down are taken, others are computed and written down.

    A file of another search, and one that cannot be read, is written anew.

    Args:
        path: The file; `None` keeps nothing.
        key: Digest of everything that the losses depend on.
    """

    def __init__(self, path: Path | None, key: str) -> None:
        self._path, self._key = path, key
        self._losses: dict[str, Any] = {}
        if path is not None and path.is_file():
            try:
                kept = json.loads(path.read_text("utf-8"))
                if kept["key"] == key:
                    self._losses = {str(name): value for name, value in kept["losses"].items()}
            except (ValueError, KeyError, TypeError, AttributeError):
                # Cut short, or of something else: the trials are run again.
                self._losses = {}

    def __len__(self) -> int:
        """Number of trials that are known."""
        return len(self._losses)

    def losses(self, name: str, compute: Callable[[], np.ndarray]) -> np.ndarray:
        """The losses of a trial.

        Args:
            name: Its name.
            compute: Runs it.
        """
        if name not in self._losses:
            self._losses[name] = np.asarray(compute(), "float64").tolist()
            if self._path is not None:
                os.makedirs(self._path.parent, exist_ok=True)
                write_whole_json(self._path, {"key": self._key, "losses": self._losses})
        return np.asarray(self._losses[name], "float64")
