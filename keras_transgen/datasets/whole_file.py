"""A file that is there whole or not at all, and stays in the folder it was meant for."""

from __future__ import annotations

import json
import math
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_whole(path: str, write: Callable[[str], object], overwrite: bool = True) -> None:
    """Let `write` make a file beside `path`, and move it into place when it is complete.

    The temporary file lies in a folder that nobody else can enter or foretell, and keeps the
    whole name as its ending, since Keras chooses formats by it. A link that stands at `path` is
    replaced; what it leads to is left alone. Remote paths (`gs://...`) are written directly; their
    stores do not show half-written objects.

    What else `write` makes beside its file, such as the parts of one that was split, is moved too,
    and the file itself last. Parts of the same names that were there are replaced first, so only a
    single file is safe from a kill in between.

    Args:
        path: Where the file shall be.
        write: Called with the path to write to.
        overwrite: Whether a file that is there may be replaced.

    Raises:
        FileExistsError: If the file is there and may not be replaced, or is no plain file.
    """
    if "://" in path:
        write(path)
        return
    target = Path(path)
    if os.path.lexists(target):
        _check_replaceable(target, overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=target.parent) as folder:
        beside = Path(folder) / target.name
        write(str(beside))
        others = [each for each in sorted(Path(folder).iterdir()) if each != beside]
        for other in others:
            if os.path.lexists(target.with_name(other.name)):
                _check_replaceable(target.with_name(other.name), overwrite)
        if others and not os.path.lexists(beside):
            raise FileNotFoundError(
                f"Expected a file to be written to {target}. Received: {others}"
            )
        for other in others:
            os.replace(other, target.with_name(other.name))
        os.replace(beside, target)


def write_whole_text(path: str | os.PathLike[str], text: str) -> None:
    """`write_whole` for a text, in UTF-8.

    Args:
        path: Where the file shall be; one that is there is replaced.
        text: What it shall hold.
    """
    write_whole(os.fspath(path), lambda beside: Path(beside).write_text(text, encoding="utf-8"))


def write_whole_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write a value as JSON beside the path and move it into place; see `write_whole_text`.

    JSON has no NaN and no infinity: such numbers are `null`.

    Args:
        path: The file.
        value: Dictionaries, lists, numbers, words.
    """
    finite = _finite(value)
    text = json.dumps(finite, indent=2, allow_nan=False, ensure_ascii=False)
    if any("\ud800" <= each <= "\udfff" for each in text):
        # Of a file's name that is not UTF-8.
        text = json.dumps(finite, indent=2, allow_nan=False)
    write_whole_text(path, text + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def refuse_files_above(folder: str | os.PathLike[str]) -> None:
    """Refuse a folder, to be written into later, in whose place or above which is a file.

    Args:
        folder: It need not be there yet.

    Raises:
        ValueError: If there is one.
    """
    for each in (Path(folder), *Path(folder).parents):
        if each.is_file():
            raise ValueError(
                "A folder must be one that files can be written into. "
                f"Received: {os.fspath(folder)!r}, where {str(each)!r} is a file"
            )


def refuse_links_below(folder: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Raises if the way from `folder` to a file in it leads through a link.

    The folder may be a link itself, which is the user's choice; what lies in it may be somebody
    else's, and a link there leads a file out of it.
    """
    parts = Path(path).relative_to(folder).parts
    here = Path(folder)
    for part in parts[:-1]:
        here /= part
        if part == ".." or here.is_symlink():
            raise _leads_away(here)


def refuse_links_in(folder: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """`refuse_links_below` for a folder that other libraries fill, which write through links."""
    refuse_links_below(folder, Path(path) / "file")
    for place, folders, files in os.walk(path):
        for name in (*folders, *files):
            if os.path.islink(os.path.join(place, name)):
                raise _leads_away(Path(place, name))


def _leads_away(link: Path) -> ValueError:
    return ValueError(
        "Files are written below the output folder only, and a link in it leads away. "
        f"Remove it, or give another output folder. Received: {str(link)!r}"
    )


def _check_replaceable(target: Path, overwrite: bool) -> None:
    if not overwrite:
        raise FileExistsError(f"The file exists, and overwrite=False was given. Received: {target}")
    mode = os.lstat(target).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        # Moved into place, the file would stand where the device or folder was.
        raise FileExistsError(
            "A file is written beside and moved into place, and cannot take that of a folder, "
            f"pipe or device. Give another path. Received: {target}"
        )
