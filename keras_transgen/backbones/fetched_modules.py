"""The folder in which fetched modules stay: tensorflow_hub's names, without its trust.

A module is not trusted for lying there. The folder must be its user's own, an entry must be a
whole SavedModel of plain files, and what this package fetched must still be what it was then: its
digest lies beside it. What tensorflow_hub fetched has none, and is found and used all the same;
every module is audited before it is loaded.
"""

from __future__ import annotations

import datetime
import hashlib
import logging
import os
import socket
import stat
import uuid
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from keras_transgen.backbones.folder_removal import remove_folder
from keras_transgen.backbones.module_store import folder_digest
from keras_transgen.backbones.private_folder import check_private_folder, make_private_folder
from keras_transgen.backbones.saved_model_folder import (
    BrokenModuleError,
    HandleError,
    check_saved_model_folder,
)
from keras_transgen.datasets.file_lock import UnsafeLockError, file_lock
from keras_transgen.datasets.printable import printable
from keras_transgen.datasets.whole_file import write_whole_text

_MOST_ENTRIES = 100_000
_DIGEST_SUFFIX = ".sha256"


def cache_folder(cache_dir: str | os.PathLike[str] | None) -> Path:
    """The folder given, else `TFHUB_CACHE_DIR`, else `hub` beside the store of modules.

    tensorflow_hub's default lies in the temporary folder, where all users share it.
    """
    folder = cache_dir or os.environ.get("TFHUB_CACHE_DIR")
    if folder:
        return Path(folder).expanduser().absolute()
    home = os.environ.get("KERAS_TRANSGEN_HOME") or "~/.cache/keras_transgen"
    return Path(home).expanduser().absolute() / "hub"


@dataclass(frozen=True)
class ModuleCache:
    """A folder of modules by the SHA-1 of their handles, laid out as tensorflow_hub does."""

    folder: Path
    progress: bool

    def get(self, handle: str, fetch: Callable[[Path], Path], name: str | None = None) -> Path:
        """Returns a module's folder, fetching it if the cache has none or a broken one.

        Args:
            handle: What the user asked for; error messages and the description name it.
            fetch: Called with an empty folder; puts the module somewhere in it and returns where.
            name: What the entry's name is the SHA-1 of. Defaults to `handle`.
        """
        key = hashlib.sha1((name or handle).encode()).hexdigest()
        target = self.folder / key
        if self.folder.is_dir():
            check_private_folder(self.folder)
            if _entry_fault(target) is None:
                return target
        self._make_folder()
        lock = self.folder / f".{key}.ktg-lock"
        try:
            with file_lock(lock, f"fetching {printable(handle)}", self.tell):
                self._fetch_once(handle, target, fetch)
        except UnsafeLockError as error:
            raise HandleError(str(error)) from error
        return target

    def _make_folder(self) -> None:
        reason = "it may not be written"
        try:
            make_private_folder(self.folder)
        except OSError as error:
            reason = str(error)
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise HandleError(
                "expected a cache folder that can be made and written; set TFHUB_CACHE_DIR to "
                f"another. Received: cache_dir={self.folder}, and {reason}"
            )

    def _fetch_once(self, handle: str, target: Path, fetch: Callable[[Path], Path]) -> None:
        fault = _entry_fault(target)
        if fault is None:
            return
        # Left by processes that were killed: nobody else works on this key while it is locked.
        for abandoned in self.folder.glob(f".{target.name}.*.partial"):
            remove_folder(abandoned, only_own=True)
        if any(target.iterdir()) if target.is_dir() else os.path.lexists(target):
            warnings.warn(
                f"The cached copy of {printable(handle)} is broken and is fetched again: {fault}",
                stacklevel=5,
            )
        work = self.folder / f".{target.name}.{uuid.uuid4().hex}.partial"
        work.mkdir()
        try:
            module = fetch(work)
            check_saved_model_folder(module)
            self._complete(handle, module, target, work)
        finally:
            remove_folder(work)

    def _complete(self, handle: str, module: Path, target: Path, work: Path) -> None:
        write_whole_text(target.with_name(target.name + ".descriptor.txt"), _description(handle))
        digest = folder_digest(module)
        # Without one between the two moves: a kill there leaves an entry without a digest, which
        # is used, and never one with another's.
        _digest_file(target).unlink(missing_ok=True)
        _put_in_place(module, target, work)
        write_whole_text(_digest_file(target), digest + "\n")

    def tell(self, line: str) -> None:
        line = printable(line)
        logging.getLogger("keras_transgen").info(line)
        if self.progress:
            from keras_transgen.datasets.screen import Screen

            Screen(stderr=True, soft_wrap=True).print(line, highlight=False)


def fault_of(folder: Path) -> str | None:
    """What `check_saved_model_folder` says against a folder, or None when it is whole."""
    try:
        check_saved_model_folder(folder)
    except BrokenModuleError as error:
        return str(error)
    return None


def _entry_fault(target: Path) -> str | None:
    """What speaks against an entry of the cache, or None where it can be used."""
    strange = _strange_in(target)
    if strange is not None:
        return strange
    fault = fault_of(target)
    if fault is not None:
        return fault
    try:
        digest = _digest_file(target).read_text(encoding="utf-8").strip()
    except OSError:
        return None  # tensorflow_hub fetched it.
    found = folder_digest(target)
    if found == digest:
        return None
    return (
        "expected the module that was fetched, and its files have changed since. "
        f"Received: {target}, whose digest is {found} and was {printable(digest, 80)}"
    )


def _strange_in(target: Path) -> str | None:
    """What in an entry is neither file nor folder: a link leads out of it, a pipe never ends."""
    waiting, seen = [target], 0
    if target.is_symlink():
        return f"expected a folder. Received: {target}, which is a link"
    while waiting:
        folder = waiting.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError as error:
            return f"expected a folder that can be read. Received: {printable(error)}"
        for entry in entries:
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                waiting.append(folder / entry.name)
            elif not stat.S_ISREG(mode):
                return f"expected plain files. Received: {printable(entry.path)}, a link or device"
        seen += len(entries)
        if seen > _MOST_ENTRIES:
            return f"expected at most {_MOST_ENTRIES:,} files. Received: {target} with more"
    return None


def _digest_file(target: Path) -> Path:
    return target.with_name(target.name + _DIGEST_SUFFIX)


def _description(handle: str) -> str:
    # tensorflow_hub writes this beside every module, for people who look into the cache.
    return (
        f"Module: {printable(handle)}\nDownload Time: {datetime.datetime.today()}\n"
        f"Downloader Hostname: {socket.gethostname()} (PID:{os.getpid()})"
    )


def _put_in_place(module: Path, target: Path, work: Path) -> None:
    # A folder cannot replace one that is not empty: the broken one steps aside first. A process
    # killed in between leaves no module at all, which the next call fetches.
    if os.path.lexists(target):
        os.replace(target, work / "replaced")
    try:
        os.replace(module, target)
    except OSError:
        # tensorflow_hub keeps other locks than ours and may have been faster.
        if fault_of(target) is not None:
            raise
