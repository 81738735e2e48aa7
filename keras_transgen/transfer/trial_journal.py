"""The outcome of finished trials on the disk, so that a search goes on after a kill."""

from __future__ import annotations

import os
import tokenize
from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_transgen.datasets.printable import printable
from keras_transgen.datasets.whole_file import write_whole

_PREFIX = "fine_tuning_trials_"
# What NumPy says of a file that is not there, cut short, or none of its own.
_NO_ARRAY = (OSError, ValueError, EOFError, SyntaxError, tokenize.TokenError)


class TrialJournal:
    """Arrays by trial: those that were written down are taken, others computed and written down.

    Each is a file of its own, moved into place when it is whole. One that cannot be read, or is not
    of the shape, is computed again.

    Args:
        folder: Where they lie; `None` keeps nothing.
        key: Digest of everything that the arrays depend on.

    Raises:
        ValueError: The folder is of trials of another key, whose training would be gone on with.
    """

    def __init__(self, folder: Path | None, key: str) -> None:
        name = f"{_PREFIX}{key[:16]}"
        self._folder = None if folder is None else folder / name
        if folder is not None and folder.is_dir():
            others = [each for each in folder.glob(f"{_PREFIX}*") if each.name != name]
            if others and not (folder / name).exists():
                raise ValueError(
                    "This backup is of a training on other data or with other settings: delete its "
                    "folder, or name another one. "
                    f"Received: backup_dir={printable(str(folder))!r}"
                )

    def array(
        self, name: str, shape: tuple[int, ...], compute: Callable[[], np.ndarray]
    ) -> np.ndarray:
        """What a trial gave, float32.

        Args:
            name: Name of the trial, fit for a file.
            shape: The shape that it has.
            compute: Runs the trial.
        """
        if self._folder is None:
            return compute()
        file = self._folder / f"{name}.npy"
        try:
            # Mapped: what a header claims costs nothing before it is looked at.
            kept = np.lib.format.open_memmap(file, mode="r")
        except _NO_ARRAY:
            kept = None
        if kept is not None and kept.shape == tuple(shape) and kept.dtype == np.float32:
            return np.array(kept)
        value = np.asarray(compute(), "float32")
        os.makedirs(self._folder, exist_ok=True)

        def write(beside: str) -> None:
            with open(beside, "wb") as opened:
                np.save(opened, value, allow_pickle=False)

        write_whole(os.fspath(file), write)
        return value
