"""Lines of a long command's output that are kept while it is not at its end."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# Seconds of work that a kill costs at most.
_EVERY = 15.0


class UnfinishedLines:
    """What a command has made so far, beside its output file; the same command goes on with it.

    Args:
        output: The output file. The lines lie in `NAME.unfinished` beside it.
        model_file: Which model makes them.
        given: What they are made of: the lines that are read, and the options.
        console: Where it is said that earlier lines are taken.

    Attributes:
        made: Lines by their number, from 0; the command adds to it.

    Raises:
        ValueError: Something else lies in their place.
    """

    def __init__(self, output: Path, model_file: Path, given: Iterable[Any], console: Any) -> None:
        self.path = output.with_name(f"{output.name}.unfinished")
        with model_file.expanduser().open("rb") as file:
            model = hashlib.file_digest(file, "sha256").hexdigest()
        self._digest = hashlib.sha256(json.dumps([model, *given]).encode()).hexdigest()
        self.made = self._before()
        self._written = time.monotonic()
        if self.made:
            console.print(f"Going on after {len(self.made):,} lines of an unfinished run")

    def _before(self) -> dict[int, str]:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            lines = {int(row): str(line) for row, line in found["lines"].items()}
            return lines if found["of"] == self._digest else {}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise ValueError(
                "Lines of an unfinished run are kept beside the output, and something else lies "
                f"there. Move it, or choose another --output. Received: {self.path}"
            ) from None

    def keep(self) -> None:
        """Write down what `made` holds, where enough time has gone by."""
        from keras_transgen.training import write_whole_json

        if time.monotonic() - self._written >= _EVERY:
            write_whole_json(self.path, {"of": self._digest, "lines": self.made})
            self._written = time.monotonic()

    def end(self) -> None:
        """The output is written: forget them."""
        self.path.unlink(missing_ok=True)
