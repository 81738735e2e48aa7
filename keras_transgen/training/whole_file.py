"""A file that is there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def write_whole(path: str, write: Callable[[str], None], overwrite: bool = True) -> None:
    """Let `write` make a file beside `path`, and move it into place when it is complete.

    The temporary file keeps the whole name as its ending, since Keras chooses formats by it.
    Remote paths (`gs://...`) are written directly; their stores do not show half-written objects.

    Args:
        path: Where the file shall be.
        write: Called with the path to write to.
        overwrite: Whether a file that is there may be replaced.

    Raises:
        FileExistsError: If the file is there and may not be replaced.
    """
    if "://" in path:
        write(path)
        return
    target = Path(path)
    if target.exists() and not overwrite:
        raise FileExistsError(f"The file exists, and overwrite=False was given. Received: {path}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=target.parent) as folder:
        beside = Path(folder) / target.name
        write(str(beside))
        os.replace(beside, target)
