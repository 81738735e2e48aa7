"""The files that make a module: read where they lie, copied, and told by one digest.

No link is followed: a link in a stranger's folder would read whatever file of the user it names,
and pack it into every model that is saved later.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from keras_transgen.backbones.folder_removal import remove_folder
from keras_transgen.backbones.saved_model_folder import (
    BrokenModuleError,
    check_saved_model_folder,
)

# What `tf.saved_model.load` and a serving binary read. fingerprint.pb is left out on purpose: it
# restates the rest and adds a random number, so two copies of one module would differ by it.
_FILES = ("saved_model.pb",)
_FOLDERS = ("variables", "assets", "assets.extra")
_MAX_FILES = 100_000
_MAX_DEPTH = 32
_CHUNK = 2**20
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class HashedStream:
    """A stream that hashes what is read from it."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content = content
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._content.read(size)
        self._hash.update(data)
        return data

    def hexdigest(self) -> str:
        """SHA-256 of what was read so far."""
        return self._hash.hexdigest()


def sha256_of(content: IO[bytes]) -> str:
    """SHA-256 of the rest of a stream."""
    return hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]


def combined_digest(hashes: Mapping[str, str]) -> str:
    """One digest of a module out of those of its files.

    Args:
        hashes: SHA-256 of each file, by its name within the module.
    """
    digest = hashlib.sha256(b"keras_transgen module 1\n")
    for name in sorted(hashes):
        digest.update(f"{len(name.encode())} {name} {hashes[name]}\n".encode())
    return digest.hexdigest()


def structure_digest(folder: Path) -> str:
    """The digest of a module without its variables: what is computed, not with which numbers."""
    files = ((name, file) for name, file in module_files(folder) if _is_structure(name))
    return combined_digest({name: sha256_of(file) for name, file in files})


def _is_structure(name: str) -> bool:
    return not name.startswith("variables/")


def module_files(folder: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """The files of a module, each open for reading until the next one is asked for.

    Yields:
        The name within the module (`"variables/variables.index"`), and the open file.
    """
    for name in _FILES:
        if os.path.lexists(folder / name):
            with _opened(folder / name, None, name) as content:
                yield name, content
    count = 0
    for top in _FOLDERS:
        if not os.path.lexists(folder / top):
            continue
        if (folder / top).is_symlink():
            raise _link(folder, top)
        for place, folders, files, descriptor in _walk(folder / top):
            inside = Path(place).relative_to(folder).as_posix()
            if inside.count("/") > _MAX_DEPTH:
                raise BrokenModuleError(
                    f"expected a module with folders at most {_MAX_DEPTH} deep. Received: {folder}"
                )
            count += len(folders) + len(files)
            if count > _MAX_FILES:
                raise BrokenModuleError(
                    f"expected a module of at most {_MAX_FILES:,} files. Received: {folder}"
                )
            for file in sorted(files):
                name = f"{inside}/{file}"
                if not _is_text(name):
                    raise BrokenModuleError(
                        f"expected file names that are text. Received: {folder}, {name!r}"
                    )
                status = (
                    os.stat(file, dir_fd=descriptor, follow_symlinks=False)
                    if (descriptor is not None)
                    else os.lstat(Path(place, file))
                )
                if stat.S_ISLNK(status.st_mode):
                    raise _link(folder, name)
                if stat.S_ISREG(status.st_mode):
                    target = Path(place, file) if descriptor is None else Path(file)
                    with _opened(target, descriptor, name) as content:
                        yield name, content


def copy_module(folder: Path, target: Path, move: bool = False) -> str:
    """Copies a module's files into a new folder.

    Args:
        folder: Folder of the module.
        target: Folder to make.
        move: Whether each file may leave its place, once it has been read.
    """
    hashes = {}
    for name, content in module_files(folder):
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if move:
            hashes[name] = sha256_of(content)
            os.replace(folder / name, copy)
        else:
            stream = HashedStream(content)
            with copy.open("xb") as written:
                shutil.copyfileobj(stream, written, _CHUNK)
            hashes[name] = stream.hexdigest()
    return combined_digest(hashes)


class PrivateModule:
    """A copy of a module that nobody else can write, as long as this object lives.

    What is audited must be what is loaded, and TensorFlow reads a folder by its path. So a module
    is copied into a folder of this process first, hashed on the way, and audited and loaded there.

    Args:
        folder: Folder of the module.
        digest: The digest that it must have. Defaults to any.

    Attributes:
        folder: Folder of the copy.
        digest: Its digest.
    """

    def __init__(self, folder: Path, digest: str | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="keras-transgen-module-"))
        self._remove = weakref.finalize(self, remove_own, self.folder, os.getpid())
        try:
            self.digest = copy_module(folder, self.folder)
            check_saved_model_folder(self.folder, name=folder)
            if digest is not None and self.digest != digest:
                raise changed_module(folder, self.digest)
        except BaseException:
            self._remove()
            raise

    def drop_variables(self) -> None:
        """Remove the variables' file once they are loaded; graph and assets stay."""
        remove_folder(self.folder / "variables")


def changed_module(folder: Path, found: str) -> BrokenModuleError:
    """The error for a stored module whose content has another digest."""
    return BrokenModuleError(
        "expected the module that was stored, and its files have changed since: delete "
        f"the folder {folder} and load the module or the .keras file again. "
        f"Received: content with digest {found}"
    )


def remove_own(folder: Path, process: int) -> None:
    """Remove a folder when its process ends; a forked child ends, too, and it is its parent's."""
    if os.getpid() == process:
        remove_folder(folder)


def _walk(top: Path) -> Iterator[tuple[str, list[str], list[str], int | None]]:
    """Folders and files below a folder that is no link; open folders where the system has them."""
    if hasattr(os, "fwalk"):
        yield from os.fwalk(top)
    else:
        yield from ((*found, None) for found in os.walk(top))


def _opened(file: Path, descriptor: int | None, name: str) -> IO[bytes]:
    try:
        opened = os.open(file, os.O_RDONLY | _NO_LINKS, dir_fd=descriptor)
    except OSError as error:
        if file.is_symlink():
            raise _link(file.parent, name) from None
        raise BrokenModuleError(
            f"expected a module whose files can be read. Received: {name}, {error.strerror}"
        ) from error
    content = os.fdopen(opened, "rb")
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        content.close()
        raise BrokenModuleError(f"expected a module of regular files. Received: {name}")
    return content


def _link(folder: Path, name: str) -> BrokenModuleError:
    return BrokenModuleError(
        "expected a module of plain files; links are not followed, since they may lead to any file "
        "of yours. If you trust them, copy the folder with its links resolved (cp -rL). "
        f"Received: {folder}, where {name!r} is a link"
    )


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
