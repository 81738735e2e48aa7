"""Ctrl-C and SIGTERM in a command that has something to save before it ends."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any

_WATCHED = (signal.SIGINT, signal.SIGTERM)
_SAID = b"\nStopping after this step, to save what there is; once more stops at once.\n"


class Stopped(SystemExit):
    """The command was told to end; its exit code is the shell's for that signal, 130 or 143.

    Args:
        number: The signal.
        told: Whether it was said what is saved.
    """

    def __init__(self, number: int, told: bool = False) -> None:
        super().__init__(128 + number)
        self.told = told


class StopSignals:
    """Remembers a signal for whoever `waits` for it; otherwise, or the second time, ends at once.

    Attributes:
        received: The signal, or `None`.
        waits: Whether somebody looks at `received` soon.

    Example:
        ```python
        import os, signal
        from keras_transgen.cli.stop_signals import StopSignals

        with StopSignals() as signals:
            signals.waits = True
            os.kill(os.getpid(), signal.SIGTERM)
            assert signals.received == signal.SIGTERM
        ```
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.waits = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        # Python hands signals to the main thread alone.
        if threading.current_thread() is threading.main_thread():
            self._before = {each: signal.signal(each, self._handle) for each in _WATCHED}
        return self

    def __exit__(self, *error: object) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again, self.received = self.received is not None, number
        if again or not self.waits:
            raise Stopped(number)
        # Printing is not safe here, where it may be interrupted by itself.
        os.write(2, _SAID)
