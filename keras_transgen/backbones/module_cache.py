"""The folder in which fetched modules stay: tensorflow_hub's, by its names, without its trust."""

from __future__ import annotations

import datetime
import hashlib
import logging
import os
import shutil
import socket
import tempfile
import uuid
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from keras_transgen.backbones.file_lock import file_lock
from keras_transgen.backbones.saved_model_folder import (
    BrokenModuleError,
    HandleError,
    check_saved_model_folder,
)


def cache_folder(cache_dir: str | os.PathLike[str] | None) -> Path:
    """The folder given, else `TFHUB_CACHE_DIR`, else tensorflow_hub's default."""
    folder = cache_dir or os.environ.get("TFHUB_CACHE_DIR")
    if folder:
        return Path(folder).expanduser().absolute()
    return Path(tempfile.gettempdir(), "tfhub_modules")


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

        Returns:
            The folder, which holds a whole SavedModel.

        Raises:
            HandleError: When the cache cannot be written; and whatever `fetch` raises.
        """
        key = hashlib.sha1((name or handle).encode()).hexdigest()
        target = self.folder / key
        if fault_of(target) is None:
            return target
        self._make_folder()
        with file_lock(self.folder / f".{key}.ktg-lock", f"fetching {handle}", self.tell):
            self._fetch_once(handle, target, fetch)
        return target

    def _make_folder(self) -> None:
        reason = "it may not be written"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = str(error)
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise HandleError(
                "expected a cache folder that can be made and written; set TFHUB_CACHE_DIR to "
                f"another. Received: cache_dir={self.folder}, and {reason}"
            )

    def _fetch_once(self, handle: str, target: Path, fetch: Callable[[Path], Path]) -> None:
        fault = fault_of(target)
        if fault is None:
            return
        # Left by processes that were killed: nobody else works on this key while it is locked.
        for abandoned in self.folder.glob(f".{target.name}.*.partial"):
            shutil.rmtree(abandoned, ignore_errors=True)
        if _holds_something(target):
            warnings.warn(
                f"The cached copy of {handle} is broken and is fetched again: {fault}",
                stacklevel=5,
            )
        work = self.folder / f".{target.name}.{uuid.uuid4().hex}.partial"
        work.mkdir()
        try:
            module = fetch(work)
            check_saved_model_folder(module)
            _describe(handle, target, work)
            _put_in_place(module, target, work)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def tell(self, line: str) -> None:
        logging.getLogger("keras_transgen").info(line)
        if self.progress:
            from rich.console import Console

            Console(stderr=True, soft_wrap=True).print(line, markup=False, highlight=False)


def fault_of(folder: Path) -> str | None:
    """What `check_saved_model_folder` says against a folder, or None when it is whole."""
    try:
        check_saved_model_folder(folder)
    except BrokenModuleError as error:
        return str(error)
    return None


def _holds_something(path: Path) -> bool:
    return any(path.iterdir()) if path.is_dir() else os.path.lexists(path)


def _describe(handle: str, target: Path, work: Path) -> None:
    # tensorflow_hub writes this beside every module, for people who look into the cache.
    text = (
        f"Module: {handle}\nDownload Time: {datetime.datetime.today()}\n"
        f"Downloader Hostname: {socket.gethostname()} (PID:{os.getpid()})"
    )
    (work / "descriptor.txt").write_text(text)
    os.replace(work / "descriptor.txt", target.with_name(f"{target.name}.descriptor.txt"))


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
