"""Modules by what they are: a local store keyed by content.

Keras builds a layer from its config before it reads anything else of a `.keras` file, so the
module must be at hand by then. The config holds the module's digest, and the digest finds it here.

A store that may only be read is used for what is in it. Other modules then go into a temporary
folder of the process, so that whatever can be loaded and saved with a store, can be without.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import re
import tarfile
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType

from keras_transgen.backbones.archives import (
    MAX_BYTES,
    MAX_RATIO,
    ArchiveError,
    unpack_archive,
)
from keras_transgen.backbones.folder_removal import remove_folder
from keras_transgen.backbones.module_files import (
    HashedStream,
    PrivateModule,
    changed_module,
    combined_digest,
    copy_module,
    module_files,
    remove_own,
    sha256_of,
)
from keras_transgen.backbones.saved_model_folder import (
    BrokenModuleError,
    HandleError,
    check_saved_model_folder,
)
from keras_transgen.datasets.whole_file import write_whole

_DIGEST = re.compile(r"[0-9a-f]{64}")
_ABANDONED_AFTER = 24 * 3600.0

# What this process has held against its digest, so that it need not be stored again. Whoever loads
# or packs a module holds it against its digest anew.
_verified: set[Path] = set()
# Where modules are kept that the store does not take, once there are any: one folder at most.
_temporary: list[Path] = []
_NO_STAND_INS: Mapping[str, str] = MappingProxyType({})
# A `.keras` file of a trained module names the module that it was, and holds one with zeros.
_stand_ins: ContextVar[Mapping[str, str]] = ContextVar("stand_ins", default=_NO_STAND_INS)
_is_being_loaded: ContextVar[bool] = ContextVar("is_being_loaded", default=False)


def folder_digest(folder: str | os.PathLike[str]) -> str:
    """SHA-256 of what makes a module: its graph, variables and assets, with their names.

    Times, permissions and files that no loader reads have no part in it, so a module has the
    same digest wherever it is copied.
    """
    return combined_digest({name: sha256_of(file) for name, file in module_files(Path(folder))})


def store_module(folder: str | os.PathLike[str]) -> str:
    """Copies a module into the store, unless it is there already."""
    check_saved_model_folder(folder)
    digest = folder_digest(folder)
    return digest if _has(digest) else _keep_copy(Path(folder))


def keep_module(module: PrivateModule) -> None:
    """Copies a module that has been checked into the store, unless it is there already.

    Where that cannot be, the module is used all the same, and a warning says what is missing.
    """
    if _has(module.digest):
        return
    try:
        _keep_copy(module.folder)
    except HandleError as error:
        warnings.warn(f"The model can be used and not be saved: {error}", stacklevel=4)


def _has(digest: str) -> bool:
    """Whether the module is there and whole; what is broken is told of when it is replaced."""
    with contextlib.suppress(BrokenModuleError):
        return find_module(digest) is not None
    return False


def _keep_copy(folder: Path) -> str:
    with _work_folder(_new_work_folder) as work:
        digest = copy_module(folder, work / "module")
        _keep(work, digest)
    return digest


def find_module(digest: str) -> Path | None:
    """Finds a module in the store by its digest.

    The content is held against the digest when a process first asks for it.

    Args:
        digest: What `store_module` or `folder_digest` returned.

    Returns:
        The module's folder, or None when the store does not have it.
    """
    target = _found(digest)
    if target is None:
        return None
    if target not in _verified:
        check_stored(target)
        _verified.add(target)
    return target


def check_stored(folder: Path) -> None:
    """Hold a module in the store against its digest."""
    found = folder_digest(folder)
    if found != folder.name:
        raise changed_module(folder, found)


def stored_folder(digest: str) -> Path | None:
    """Where the store has a module, whatever is there: whoever loads it checks a copy.

    Returns:
        The folder of that digest, or of what stands in for it, or None.
    """
    for name in (digest, _stand_ins.get().get(digest)):
        found = None if name is None else _found(name)
        if found is not None:
            return found
    return None


@contextmanager
def standing_in(contents: Mapping[str, str]) -> Iterator[None]:
    """For the length of loading a file, modules that the store lacks are loaded from others."""
    token = _stand_ins.set({**_stand_ins.get(), **contents})
    loading = _is_being_loaded.set(True)
    try:
        yield
    finally:
        _is_being_loaded.reset(loading)
        _stand_ins.reset(token)


def is_being_loaded() -> bool:
    """Whether `keras_transgen.load_model` is at work: what it builds has its first values."""
    return _is_being_loaded.get()


def pack_module(digest_or_folder: str | os.PathLike[str], file: str | os.PathLike[str]) -> Path:
    """Writes a module into one uncompressed tar file; equal modules give equal bytes."""
    folder, file = _module_folder(digest_or_folder), Path(file)
    expected = folder.name if folder.parent in _roots() else None

    def write(beside: str) -> None:
        hashes = {}
        with tarfile.open(beside, "x", format=tarfile.PAX_FORMAT) as tar:
            for name, content in module_files(folder):
                # A new entry bears no owner and no time; the file's own would.
                entry = tarfile.TarInfo(name)
                entry.size = os.fstat(content.fileno()).st_size
                stream = HashedStream(content)
                tar.addfile(entry, stream)  # type: ignore[arg-type]
                hashes[name] = stream.hexdigest()
        if expected is not None and combined_digest(hashes) != expected:
            raise changed_module(folder, combined_digest(hashes))

    write_whole(str(file), write)
    return file


def unpack_module(
    file: str | os.PathLike[str],
    *,
    expected: str | None = None,
    max_bytes: int | None = None,
    check: Callable[[Path], object] | None = None,
) -> str:
    """Puts a packed module into the store, unless it is there already.

    Args:
        file: What `pack_module` wrote.
        expected: The digest that it should have. Defaults to any.
        max_bytes: How many bytes it may unpack to. Defaults to its own size, or 16 GiB if that is
            more.
        check: Called with the unpacked folder before it is stored; what it raises is raised, and
            nothing stays.

    Raises:
        BrokenModuleError: When the file is damaged, unsafe to unpack, holds no SavedModel, or
            another than the expected one.
        HandleError: When the disk is full.
    """
    file = Path(file)
    # Not compressed, so a large module is a large file; or of zeros, and the caller knows.
    limit = max(MAX_BYTES, file.stat().st_size) if max_bytes is None else max_bytes
    # The same content needs no place in the store; it is checked as any other.
    is_there = expected is not None and _has(expected)
    with _work_folder(_passing_folder if is_there else _new_work_folder) as work:
        ratio = MAX_RATIO if max_bytes is None else math.inf
        try:
            unpacked = unpack_archive(file, work / "unpacked", max_bytes=limit, max_ratio=ratio)
        except ArchiveError as error:
            raise BrokenModuleError(f"expected a packed module: {error}") from error
        digest = copy_module(unpacked, work / "module", move=True)
        check_saved_model_folder(work / "module")
        if expected is not None and digest != expected:
            raise BrokenModuleError(
                "the module in the file is not the one its name says, so somebody or something "
                "changed it. Get the file again from where it was made. "
                f"Received: a module with digest {digest} for {expected}"
            )
        if check is not None:
            check(work / "module")
        if not is_there:
            _keep(work, digest)
    return digest


def _keep(work: Path, digest: str) -> None:
    """Moves `work`/module into the store that `work` lies in, unless a store has it already."""
    target = work.parent / digest
    try:
        if find_module(digest) is not None:
            return
    except BrokenModuleError as error:
        warnings.warn(f"A module in the store is replaced: {error}", stacklevel=4)
    _put_in_place(work / "module", target, work)
    _verified.add(target)


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
def _work_folder(made: Callable[[], Path]) -> Iterator[Path]:
    """A folder as long as the context, and a word about what to do where there is no room."""
    try:
        work = made()
        try:
            yield work
        finally:
            remove_folder(work)
    except OSError as error:
        raise HandleError(
            "expected room for a module, on the disk of the local module store and on that of the "
            "temporary folder. Make room, or set KERAS_TRANSGEN_HOME and TMPDIR to folders that "
            f"have it. Received: store={_root()}, temporary folder={tempfile.gettempdir()}, {error}"
        ) from error


def _passing_folder() -> Path:
    """For what is looked at and goes."""
    return Path(tempfile.mkdtemp(prefix="keras-transgen-module-"))


def _new_work_folder() -> Path:
    """From where a module is moved into the store, or into what takes its place."""
    name = f".{uuid.uuid4().hex}.partial"
    root = _root()
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        (root / name).mkdir(mode=0o700)
    except OSError as error:
        warnings.warn(
            "The local module store cannot be written, so modules that it lacks are kept in the "
            "temporary folder until this process ends. Set KERAS_TRANSGEN_HOME to a folder that "
            f"can be written. Received: {root}, {error.strerror}",
            stacklevel=2,
        )
        root = _temporary_root()
        (root / name).mkdir(mode=0o700)
    else:
        _sweep(root)
    return root / name


def _temporary_root() -> Path:
    if not _temporary:
        _temporary.append(Path(tempfile.mkdtemp(prefix="keras-transgen-store-")))
        atexit.register(remove_own, _temporary[0], os.getpid())
    return _temporary[0]


def _sweep(root: Path) -> None:
    """Removes what killed processes left; the age tells them from those at work."""
    for work in root.glob(".*.partial"):
        try:
            old = time.time() - work.lstat().st_mtime > _ABANDONED_AFTER
        except OSError:
            continue
        if old:
            # In a store that others may write, too, theirs are theirs.
            remove_folder(work, only_own=True)


def _root() -> Path:
    home = os.environ.get("KERAS_TRANSGEN_HOME") or "~/.cache/keras_transgen"
    return Path(home).expanduser().absolute() / "modules"


def _roots() -> list[Path]:
    """Where modules are looked for: first what replaces one that cannot be mended."""
    return [*_temporary, _root()]


def _found(digest: str) -> Path | None:
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise HandleError(
            "expected a module's digest, 64 hexadecimal digits as store_module returns them. "
            f"Received: digest={digest!r}"
        )
    # Not Path.is_dir, which raises where a folder on the way may not be entered.
    return next((root / digest for root in _roots() if os.path.isdir(root / digest)), None)


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
