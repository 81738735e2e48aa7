"""A private copy of a file with a model, and the folder in which Keras unpacks it."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

from keras.src.saving import saving_lib

# Names and lengths of an archive's directory.
_SLACK = 64 * 2**20
_CHUNK = 2**20

_folder: ContextVar[str | None] = ContextVar("folder", default=None)
_keras_own = saving_lib.get_temp_dir


@contextlib.contextmanager
def private_copy(file: Path, max_bytes: int) -> Iterator[Path]:
    """A copy that nobody else can change between the check of a file and its loading.

    All that Keras unpacks meanwhile lies in the same folder, which is removed whatever happens.
    Keras removes its own only when all went well, and has no argument that says where it is:
    hence the hook in its `get_temp_dir`, which acts in this block alone.
    """
    with tempfile.TemporaryDirectory(
        prefix="keras_transgen-", ignore_cleanup_errors=True
    ) as folder:
        # Keras reads a file as its name says.
        copy = Path(folder, f"model{file.suffix}")
        _copy(file, copy, max_bytes + _SLACK)
        saving_lib.get_temp_dir = _temporary
        token = _folder.set(folder)
        try:
            yield copy
        finally:
            _folder.reset(token)


def _temporary() -> str:
    folder = _folder.get()
    return _keras_own() if folder is None else tempfile.mkdtemp(dir=folder)


def _copy(file: Path, target: Path, limit: int) -> None:
    # A pipe would be waited for.
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with open(descriptor, "rb") as source, target.open("xb") as copy:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
            raise ValueError(
                f"Expected a file of at most {limit:,} bytes; if you trust this one, raise "
                f"max_bytes. Received: path={str(file)!r} of {status.st_size:,} bytes"
            )
        left = limit
        while left > 0 and (part := source.read(min(_CHUNK, left))):
            copy.write(part)
            left -= len(part)
