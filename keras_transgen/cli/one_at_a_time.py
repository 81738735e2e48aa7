"""One command at a time in an output folder."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

_LOCK = ".in_use"
Command = TypeVar("Command", bound=Callable[..., Any])


def one_at_a_time(command: Command) -> Command:
    """Decorates a command: nobody else writes into its `output` folder while it works.

    The kernel lets the next one in when the command's process is gone, however it ended.

    Args:
        command: Has an argument `output`, a folder.
    """
    signature = inspect.signature(command)

    @functools.wraps(command)
    def alone(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        release = _take(Path(bound.arguments["output"]))
        try:
            return command(*args, **kwargs)
        finally:
            release()

    return alone  # type: ignore[return-value]


def _take(output: Path) -> Callable[[], None]:
    from keras_transgen.datasets.file_lock import LockHeldError, hold_lock
    from keras_transgen.datasets.printable import printable

    made = [each for each in (output, *output.parents) if not each.exists()]
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError:
        # The command says what is wrong with its folder.
        return lambda: None
    try:
        release = hold_lock(output / _LOCK, "writing into this folder")
    except LockHeldError as error:
        raise ValueError(
            "Another command is at work in this output folder: wait for its end, or choose another "
            f"--output. Received: {output}, in use by {printable(error, 200)}"
        ) from None

    def let_others_in() -> None:
        release()
        for folder in made:
            # A command that was refused leaves nothing behind.
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    return let_others_in
