"""Remove a folder that a stranger filled: at any depth, and without ever raising."""

from __future__ import annotations

import contextlib
import os
import stat
import uuid
from pathlib import Path


def remove_folder(folder: str | os.PathLike[str]) -> None:
    """Removes a folder and all in it; what cannot be removed stays, and nothing is raised.

    `shutil.rmtree` calls itself for every level, up to Python's limit, and builds paths longer
    than a system takes. Here folders are moved up to the first level before they are emptied, so
    neither grows with the depth. Links are removed and not followed.

    Args:
        folder: Folder that nobody else writes to; nothing happens where there is none.

    Example:
        ```python
        import tempfile
        from pathlib import Path
        from keras_transgen.backbones.folder_removal import remove_folder

        folder = Path(tempfile.mkdtemp())
        (folder / "a" / "b").mkdir(parents=True)
        remove_folder(folder)
        assert not folder.exists()
        ```
    """
    top = Path(folder)
    with contextlib.suppress(OSError):
        if not stat.S_ISDIR(os.lstat(top).st_mode):
            return
        stubborn: set[str] = set()
        while inner := [name for name in _emptied_of_files(top) if name not in stubborn]:
            for name in inner:
                try:
                    _flatten(top / name, top)
                except OSError:
                    stubborn.add(name)
        top.rmdir()


def _flatten(folder: Path, top: Path) -> None:
    """Removes a folder whose own folders go to `top`."""
    for name in _emptied_of_files(folder):
        os.rename(folder / name, top / uuid.uuid4().hex)
    folder.rmdir()


def _emptied_of_files(folder: Path) -> list[str]:
    """Removes the files of a folder, and names its folders."""
    folder.chmod(0o700)
    folders = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            else:
                os.unlink(entry)
    return folders
