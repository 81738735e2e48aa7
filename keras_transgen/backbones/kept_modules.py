"""Modules that a file brings into the store, which leave it again if the file is refused."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path

from keras_transgen.backbones.folder_removal import remove_folder
from keras_transgen.backbones.module_store import stored_folder


class KeptModules:
    """What one file has put into the store, told from what was there and from what others use.

    A folder that is moved into the store keeps its identity there, and whoever finds it again
    there touches it.

    Example:
        ```python
        from keras_transgen.backbones.kept_modules import KeptModules

        KeptModules().take_out()
        ```
    """

    def __init__(self) -> None:
        self._made: dict[str, tuple[int, int]] = {}
        self._put: dict[str, tuple[tuple[int, int], int]] = {}
        self._digests: list[str] = []

    def made(self, digest: str, folder: Path) -> None:
        """Remember a folder that is about to be moved into the store.

        Args:
            digest: The module's digest.
            folder: The folder that holds it.
        """
        self._made[digest] = _identity(folder)[0]

    def kept(self, digest: str) -> None:
        """Look whether it was this folder that the store now has; if not, say that it is used.

        Args:
            digest: The module's digest.
        """
        self._digests.append(digest)
        stored = stored_folder(digest)
        if stored is None:
            return
        with contextlib.suppress(OSError):
            if _identity(stored)[0] == self._made.get(digest):
                self._put[digest] = _identity(stored)
            else:
                # The store may be another's, which nobody takes anything out of.
                os.utime(stored)

    def lost(self) -> list[str]:
        """The digests of those that the store has no longer, because another took them out."""
        return [digest for digest in self._digests if stored_folder(digest) is None]

    def take_out(self) -> None:
        """Remove from the store what was put there, unless another has found it there since."""
        for digest, put in self._put.items():
            stored = stored_folder(digest)
            with contextlib.suppress(OSError):
                if stored is not None and _identity(stored) == put:
                    # In one step: nobody finds half a module. What a kill leaves is swept later.
                    aside = stored.with_name(f".{uuid.uuid4().hex}.partial")
                    os.replace(stored, aside)
                    remove_folder(aside)


def _identity(folder: Path) -> tuple[tuple[int, int], int]:
    status = folder.stat()
    return (status.st_dev, status.st_ino), status.st_mtime_ns
