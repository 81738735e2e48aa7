"""What a search is, how long it took in all its runs, and what ends it before its trials do."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

from keras_transgen.cli.resumable import state_of_data
from keras_transgen.cli.stop_signals import Stopped, StopSignals

SEARCH = "search"
_SETTINGS = "settings.json"


class TimeIsOver(BaseException):
    """A search's time is over: no error, which Keras Tuner would count against a trial."""


class SearchRecord:
    """The settings and the time of a search, in a file of its output folder.

    Args:
        output: The output folder.
        settings: What must be the same for a search to be gone on with, as JSON values.
        restart: Begin anew.
        minutes: Minutes of all runs at most.
        steps: Steps of a trial at most.

    Raises:
        ValueError: The folder holds another search, one that cannot be read, or leads elsewhere.
    """

    def __init__(
        self,
        output: Path,
        settings: dict[str, Any],
        restart: bool = False,
        minutes: float | None = None,
        steps: int | None = None,
    ) -> None:
        from keras_transgen.datasets.whole_file import refuse_links_in

        self.file = output / _SETTINGS
        self.settings = settings | state_of_data(settings)
        self.minutes, self.steps = minutes, steps
        self.signals = StopSignals()
        # The tuner writes into its folder as it finds it.
        refuse_links_in(output, output / SEARCH)
        if restart and self.file.exists():
            shutil.rmtree(output / SEARCH, ignore_errors=True)
            self.file.unlink()
        self._before = self._seconds_before()
        self._started: float | None = None

    def _seconds_before(self) -> float:
        if not self.file.exists():
            return 0.0
        try:
            before = json.loads(self.file.read_text(encoding="utf-8"))
            seconds = float(before.get("seconds", 0.0))
        except (ValueError, AttributeError, TypeError):
            raise ValueError(
                "The output folder holds a search that cannot be read. Begin anew with --restart, "
                f"or choose another --output. Received: {self.file}"
            ) from None
        # Searches did not always know the state of their data.
        before = state_of_data(self.settings) | before
        other = [name for name, value in self.settings.items() if before.get(name) != value]
        if other:
            # The tuner knows its own space; that the data are the same, nobody else would notice.
            raise ValueError(
                "The output folder holds a search that is gone on with, so images and options must "
                "be the same; only --trials and --minutes may differ. Begin anew with --restart, "
                "or choose another --output. "
                f"Received: {', '.join(f'{name} {self.settings[name]!r}' for name in other)}; the "
                f"search in {self.file.parent} has "
                f"{', '.join(f'{name} {before.get(name)!r}' for name in other)}"
            )
        return seconds

    def begin(self) -> None:
        """From here on its time counts."""
        self._started = time.monotonic()
        self.remember()

    def seconds(self) -> float:
        """How long it took, in all runs."""
        now = 0.0 if self._started is None else time.monotonic() - self._started
        return self._before + now

    def remember(self) -> None:
        """Write down what it is, and how long it took."""
        from keras_transgen.training import write_whole_json

        write_whole_json(self.file, self.settings | {"seconds": self.seconds()})

    def end_with_time_or_signal(self) -> None:
        """End it, unless there is time left and no signal came.

        Raises:
            Stopped: A signal came.
            TimeIsOver: There is no time left.
        """
        # Who catches these has something to write.
        self.signals.waits = False
        if self.signals.received is not None:
            raise Stopped(self.signals.received)
        if self.minutes is not None and self.seconds() >= 60 * self.minutes:
            raise TimeIsOver
