"""Remove a folder that a stranger filled: at any depth, and without ever raising."""

from __future__ import annotations

import contextlib
import os
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

_HAS_DESCRIPTORS = (
    hasattr(os, "O_NOFOLLOW")
    and hasattr(os, "O_DIRECTORY")
    and os.scandir in os.supports_fd
    and {os.open, os.unlink, os.rmdir, os.rename} <= os.supports_dir_fd
)
_FOLDER = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_DIRECTORY", 0)


def remove_folder(folder: str | os.PathLike[str], only_own: bool = False) -> None:
    """Removes a folder and all in it; what cannot be removed stays, and nothing is raised.

    `shutil.rmtree` calls itself for every level, up to Python's limit. Here folders are moved up to
    the first level before they are emptied, so that neither calls nor paths grow with the depth.

    Links are removed and not followed, and all is done through open folders, where the system has
    them: whoever puts a link in a folder's place meanwhile has that link removed and nothing else.

    Args:
        folder: The folder; nothing happens where there is none. The way to it is trusted, its own
            name is not.
        only_own: Leave it where it belongs to another user. Defaults to False.
    """
    top = Path(folder)
    with contextlib.suppress(OSError):
        if not _HAS_DESCRIPTORS:
            _remove_by_paths(top)
            return
        with _opened(top.parent, None, os.O_DIRECTORY) as parent:
            with _accessible(top.name, parent) as opened:
                if only_own and os.fstat(opened).st_uid != os.geteuid():
                    return
                _empty(opened)
            os.rmdir(top.name, dir_fd=parent)


def _empty(top: int) -> None:
    stubborn: set[str] = set()
    while inner := [name for name in _emptied_of_files(top) if name not in stubborn]:
        for name in inner:
            try:
                _flatten(name, top)
            except OSError:
                stubborn.add(name)


def _flatten(name: str, top: int) -> None:
    """Removes a folder whose own folders go to `top`."""
    with _accessible(name, top) as folder:
        for inner in _emptied_of_files(folder):
            # A folder that may not be written cannot be moved to another one.
            with contextlib.suppress(OSError), _accessible(inner, folder):
                pass
            os.rename(inner, uuid.uuid4().hex, src_dir_fd=folder, dst_dir_fd=top)
    os.rmdir(name, dir_fd=top)


def _emptied_of_files(folder: int | Path) -> list[str]:
    """Removes the files of a folder, open or by its path, and names its folders."""
    folders = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            else:
                with contextlib.suppress(OSError):
                    if isinstance(folder, int):
                        os.unlink(entry.name, dir_fd=folder)
                    else:
                        os.unlink(entry.path)
    return folders


@contextlib.contextmanager
def _accessible(name: str, parent: int) -> Iterator[int]:
    """A folder in another one, open, and its owner's to read and write."""
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(_opened(name, parent, _FOLDER))
        except PermissionError:
            # Of a folder that may not be read, Linux gives a descriptor for its path alone, which
            # no system call changes the permissions of, but by its name among the open files.
            place = stack.enter_context(_opened(name, parent, _FOLDER | os.O_PATH))
            os.chmod(f"/proc/self/fd/{place}", stat.S_IRWXU)
            folder = stack.enter_context(_opened(".", place, _FOLDER))
        # What belongs to others may be writable all the same.
        with contextlib.suppress(OSError):
            os.fchmod(folder, stat.S_IRWXU)
        yield folder


@contextlib.contextmanager
def _opened(name: str | Path, parent: int | None, flags: int) -> Iterator[int]:
    descriptor = os.open(name, os.O_RDONLY | flags, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _remove_by_paths(top: Path) -> None:
    """The same where folders cannot be opened: on Windows, where only few may make links."""
    if not stat.S_ISDIR(os.lstat(top).st_mode):
        return
    stubborn: set[str] = set()
    while inner := [name for name in _emptied_by_path(top) if name not in stubborn]:
        for name in inner:
            try:
                for deeper in _emptied_by_path(top / name):
                    os.rename(top / name / deeper, top / uuid.uuid4().hex)
                (top / name).rmdir()
            except OSError:
                stubborn.add(name)
    top.rmdir()


def _emptied_by_path(folder: Path) -> list[str]:
    folder.chmod(stat.S_IRWXU)
    return _emptied_of_files(folder)
