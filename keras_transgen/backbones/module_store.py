"""Modules by what they are: a local store keyed by content.

Keras builds a layer from its config before it reads anything else of a `.keras` file, so the
module must be at hand by then. The config holds the module's digest, and the digest finds it here.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tarfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from keras_transgen.backbones.archives import MAX_BYTES, ArchiveError, unpack_archive
from keras_transgen.backbones.saved_model_folder import (
    BrokenModuleError,
    HandleError,
    check_saved_model_folder,
)

# What `tf.saved_model.load` and a serving binary read. fingerprint.pb is left out on purpose: it
# restates the rest and adds a random number, so two copies of one module would differ by it.
_FILES = ("saved_model.pb",)
_FOLDERS = ("variables", "assets", "assets.extra")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_ABANDONED_AFTER = 24 * 3600.0

_verified: set[Path] = set()


def folder_digest(folder: str | os.PathLike[str]) -> str:
    """SHA-256 of what makes a module: its graph, variables and assets, with their names.

    Times, permissions and files that no loader reads have no part in it, so a module has the
    same digest wherever it is copied.

    Args:
        folder: Folder of a SavedModel.

    Returns:
        64 hexadecimal digits.

    Example:
        ```python
        import tempfile
        from pathlib import Path
        from keras_transgen.backbones.module_store import folder_digest

        folder = Path(tempfile.mkdtemp())
        (folder / "saved_model.pb").write_bytes(b"graph")
        before = folder_digest(folder)
        (folder / "README.md").write_text("Not part of the module.")
        assert folder_digest(folder) == before
        ```
    """
    digest = hashlib.sha256(b"keras_transgen module 1\n")
    for file in _module_files(Path(folder)):
        name = file.relative_to(folder).as_posix()
        with file.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
        digest.update(f"{len(name.encode())} {name} {found}\n".encode())
    return digest.hexdigest()


def store_module(folder: str | os.PathLike[str]) -> str:
    """Copies a module into the store, unless it is there already.

    Args:
        folder: Folder of a SavedModel.

    Returns:
        The module's digest, by which `find_module` finds it.

    Raises:
        BrokenModuleError: When the folder is no whole SavedModel.
    """
    folder = Path(folder)
    check_saved_model_folder(folder)
    return _store(folder, folder_digest(folder), shutil.copyfile)


def find_module(digest: str) -> Path | None:
    """Finds a module in the store by its digest.

    The content is held against the digest when a process first asks for it.

    Args:
        digest: What `store_module` or `folder_digest` returned.

    Returns:
        The module's folder, or None when the store does not have it.

    Raises:
        BrokenModuleError: When the stored module is no longer what was stored.
        HandleError: When `digest` is no digest.
    """
    target = _place(digest)
    if not target.is_dir():
        return None
    if target not in _verified:
        found = folder_digest(target)
        if found != digest:
            raise BrokenModuleError(
                "expected the module that was stored, and its files have changed since: delete "
                f"the folder {target} and load the module or the .keras file again. "
                f"Received: content with digest {found}"
            )
        _verified.add(target)
    return target


def pack_module(digest_or_folder: str | os.PathLike[str], file: str | os.PathLike[str]) -> Path:
    """Writes a module into one uncompressed tar file; equal modules give equal bytes.

    Args:
        digest_or_folder: A digest in the store, or the folder of a SavedModel.
        file: File to write; replaced in one step if it exists.

    Returns:
        The file.

    Raises:
        HandleError: When no module with this digest is in the store.
    """
    folder, file = _module_folder(digest_or_folder), Path(file)
    partial = file.with_name(f".{file.name}.{uuid.uuid4().hex}.partial")
    try:
        with tarfile.open(partial, "x", format=tarfile.PAX_FORMAT) as tar:
            for member in _module_files(folder):
                # A new entry bears no owner and no time; the file's own would.
                entry = tarfile.TarInfo(member.relative_to(folder).as_posix())
                entry.size = member.stat().st_size
                with member.open("rb") as content:
                    tar.addfile(entry, content)
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)
    return file


def unpack_module(file: str | os.PathLike[str]) -> str:
    """Puts a packed module into the store.

    Args:
        file: What `pack_module` wrote.

    Returns:
        The module's digest.

    Raises:
        BrokenModuleError: When the file is damaged, unsafe to unpack, or holds no SavedModel.
    """
    file = Path(file)
    with _work_folder() as work:
        # Not compressed, so a large module is a large file, and no limit on size is needed.
        limit = max(MAX_BYTES, file.stat().st_size)
        try:
            module = unpack_archive(file, work / "module", max_bytes=limit)
        except ArchiveError as error:
            raise BrokenModuleError(f"expected a packed module: {error}") from error
        check_saved_model_folder(module)
        return _store(module, folder_digest(module), os.replace)


def _store(folder: Path, digest: str, take: Callable[[Path, Path], object]) -> str:
    target = _place(digest)
    try:
        if find_module(digest) is not None:
            return digest
    except BrokenModuleError as error:
        warnings.warn(f"A module in the store is replaced: {error}", stacklevel=3)
    with _work_folder() as work:
        _take_files(folder, work / "module", take)
        if folder_digest(work / "module") != digest:
            raise BrokenModuleError(
                "expected a module that stays as it is while it is copied; store it again when "
                f"nothing writes to it. Received: {folder}"
            )
        _put_in_place(work / "module", target, work)
    _verified.add(target)
    return digest


def _take_files(folder: Path, target: Path, take: Callable[[Path, Path], object]) -> None:
    for file in list(_module_files(folder)):
        copy = target / file.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        take(file, copy)


def _put_in_place(module: Path, target: Path, work: Path) -> None:
    if target.exists() and folder_digest(target) != target.name:
        os.replace(target, work / "replaced")
    try:
        os.replace(module, target)
    except OSError:
        # Another process was faster; what it stored under this name is the same, or an error.
        if not target.is_dir() or folder_digest(target) != target.name:
            raise


@contextmanager
def _work_folder() -> Iterator[Path]:
    root = _root()
    root.mkdir(parents=True, exist_ok=True)
    _sweep(root)
    work = root / f".{uuid.uuid4().hex}.partial"
    work.mkdir()
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _sweep(root: Path) -> None:
    """Removes what killed processes left; the age tells them from those at work."""
    for work in root.glob(".*.partial"):
        try:
            old = time.time() - work.stat().st_mtime > _ABANDONED_AFTER
        except FileNotFoundError:
            continue
        if old:
            shutil.rmtree(work, ignore_errors=True)


def _root() -> Path:
    home = os.environ.get("KERAS_TRANSGEN_HOME") or "~/.cache/keras_transgen"
    return Path(home).expanduser().absolute() / "modules"


def _place(digest: str) -> Path:
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise HandleError(
            "expected a module's digest, 64 hexadecimal digits as store_module returns them. "
            f"Received: digest={digest!r}"
        )
    return _root() / digest


def _module_folder(digest_or_folder: str | os.PathLike[str]) -> Path:
    if isinstance(digest_or_folder, str) and _DIGEST.fullmatch(digest_or_folder):
        folder = find_module(digest_or_folder)
        if folder is None:
            raise HandleError(
                "expected a module that is in the store; store it first with store_module. "
                f"Received: digest={digest_or_folder!r}, store={_root()}"
            )
        return folder
    folder = Path(digest_or_folder)
    check_saved_model_folder(folder)
    return folder


def _module_files(folder: Path) -> list[Path]:
    files = [folder / name for name in _FILES if (folder / name).is_file()]
    for name in _FOLDERS:
        # os.walk does not follow links to folders, which could lead anywhere or in a circle.
        for place, _, names in os.walk(folder / name):
            files += [Path(place, name) for name in names if _is_file(Path(place, name))]
    return sorted(files, key=lambda file: file.relative_to(folder).as_posix())


def _is_file(file: Path) -> bool:
    return stat.S_ISREG(file.stat().st_mode)
