"""Whether a folder is its user's own: what lies in it is trusted and written to by name."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from keras_transgen.backbones.saved_model_folder import HandleError


def check_private_folder(folder: str | os.PathLike[str]) -> None:
    """Raises if somebody else could have put something into a folder, or could put it elsewhere.

    The folder must belong to the user or to root and be writable for its owner alone. A group of
    the owner's number counts as the owner: it has one member where systems make such groups. The
    folders that it lies in must not be open to all, but where the system keeps each from the
    others' entries (the sticky bit of `/tmp`).
    """
    place = Path(folder).resolve()
    found = place.stat()
    # Windows has other permissions; its users' folders are closed to others.
    owners = {0, os.geteuid()} if hasattr(os, "geteuid") else {found.st_uid}
    if found.st_uid not in owners:
        raise _refusal(place, f"it belongs to the user with the number {found.st_uid}")
    if _others_write(found):
        raise _refusal(place, f"others may write to it (mode {stat.S_IMODE(found.st_mode):o})")
    for parent in place.parents:
        around = parent.stat()
        if os.name != "nt" and around.st_mode & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH:
            raise _refusal(place, f"others may put another folder in its place ({parent})")


def make_private_folder(folder: str | os.PathLike[str]) -> None:
    """Makes a folder that only its user may enter, unless there is one; then checks it."""
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    check_private_folder(folder)


def _others_write(found: os.stat_result) -> bool:
    if os.name == "nt":
        return False
    own_group = found.st_gid == found.st_uid
    return bool(found.st_mode & (stat.S_IWOTH if own_group else stat.S_IWOTH | stat.S_IWGRP))


def _refusal(folder: Path, reason: str) -> HandleError:
    return HandleError(
        "expected a cache folder that nobody else can write to, since modules in it are found by "
        f"name. Make it yours (chown, chmod 700), or set TFHUB_CACHE_DIR or cache_dir to another; "
        "a module in it can be loaded by its own folder's path. "
        f"Received: cache_dir={str(folder)!r}, and {reason}"
    )
