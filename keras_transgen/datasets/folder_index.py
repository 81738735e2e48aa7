"""List the files of one kind in a folder, by class, always in the same order."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

from keras_transgen.datasets.class_names import sorted_names
from keras_transgen.datasets.folder_walk import FoundFile, found_files, once_each
from keras_transgen.datasets.printable import printable

# What stands beside data and is never meant to be one of them.
_COMPANIONS = ("desktop", "ehthumbs", "licence", "license", "readme", "thumbs")
_NAMED = 5
_HEIC = (".heic", ".heif")


def files_by_class(
    path: str | Path,
    suffixes: tuple[str, ...],
    kind: str,
    labelled: bool = True,
    caller: str | None = None,
) -> tuple[tuple[str, ...], np.ndarray | None, tuple[str, ...] | None]:
    """The files under a folder; with `labelled`, one class for each folder in it.

    Hidden files and folders are passed over. Links are followed, and each real file is taken once:
    at its own place if that is in the folder, at a link if not.

    Args:
        path: The folder. Classes are the folders in it; files may lie deeper.
        suffixes: What the files' names end in, in small letters.
        kind: What messages call one of them: `"image"`.
        labelled: Whether the folders in it are classes. Defaults to `True`.
        caller: Who warns, once, of what is passed over. Defaults to nobody.

    Returns:
        `(paths, labels, class_names)`: by class, numbers by value, and then by path; the last two
        are `None` without classes.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If there are no files, a class without files, one class only, a file that is
            linked into two classes, or a pipe, socket or device among the files.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        there = "a file" if folder.exists() else "nothing there"
        raise FileNotFoundError(
            f"Expected a folder of {kind}s. Received: path={str(path)!r} ({there})"
        )
    classes = list(_folders_in(folder)) if labelled else []
    files = [] if labelled and not classes else found_files(str(folder), classes)
    wanted = once_each(file for file in files if file.path.lower().endswith(suffixes))
    special = next((file for file in wanted if file.special), None)
    if special is not None:
        raise ValueError(
            "Expected plain files; a pipe, socket or device may never come to an end. Remove it. "
            f"Received: {printable(special.path)}"
        )
    if not wanted:
        raise ValueError(_none_found(folder, suffixes, kind))
    if caller is not None:
        _tell_of_others(folder, files, suffixes, kind, labelled, caller)
    if not labelled:
        return tuple(file.path for file in wanted), None, None
    found: dict[str, list[str]] = {name: [] for name in classes}
    for file in wanted:
        found[file.group].append(file.path)
    empty = [name for name in classes if not found[name]]
    if empty:
        raise ValueError(
            f"Expected {kind}s in every class folder. Remove the empty folders or add {kind}s "
            f"({', '.join(suffixes)}); links to {kind}s of other classes do not count. "
            f"Received: no {kind}s in {empty} of {str(folder)!r}"
        )
    if len(classes) == 1:
        raise ValueError(
            f"Expected at least two classes, each a folder of {kind}s. For {kind}s without "
            f"classes, pass labelled=False. Received: one class, {classes[0]!r}, in {str(folder)!r}"
        )
    labels = np.repeat(np.arange(len(classes)), [len(found[name]) for name in classes])
    paths = [file for name in classes for file in found[name]]
    return tuple(paths), labels.astype("int64"), tuple(classes)


def _folders_in(folder: Path) -> tuple[str, ...]:
    return sorted_names(
        p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")
    )


def _tell_of_others(
    folder: Path,
    files: list[FoundFile],
    suffixes: tuple[str, ...],
    kind: str,
    labelled: bool,
    caller: str,
) -> None:
    """What is passed over is counted, not listed, and READMEs not even that."""
    names = [os.path.basename(file.path).lower() for file in files]
    names = [name for name in names if not name.endswith(suffixes)]
    names = [name for name in names if os.path.splitext(name)[0] not in _COMPANIONS]
    if names:
        others = Counter(os.path.splitext(name)[1] or "none" for name in names).most_common()
        listed = ", ".join(f"{printable(other, 20)}: {count}" for other, count in others[:_NAMED])
        more = f", {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        are = f"files that are no {kind}s by their suffix"
        if len(names) == 1:
            are = f"file that is no {kind} by its suffix"
        advice = ". Convert photographs in HEIC to JPEG to have them read"
        is_heic = kind == "image" and any(other in _HEIC for other, _ in others)
        warnings.warn(
            f"{caller} passes over {len(names)} {are} ({listed}{more}){advice * is_heic}",
            stacklevel=5,
        )
    loose = len(_loose_in(folder, suffixes)) if labelled else 0
    if loose:
        warnings.warn(
            f"{caller} passes over {loose} {kind}(s) in no class folder, but beside them",
            stacklevel=5,
        )


def _loose_in(folder: Path, suffixes: tuple[str, ...]) -> list[str]:
    names = [name for name in os.listdir(folder) if not name.startswith(".")]
    return [name for name in names if name.lower().endswith(suffixes)]


def _none_found(folder: Path, suffixes: tuple[str, ...], kind: str) -> str:
    direct = len(_loose_in(folder, suffixes))
    if direct:
        return (
            f"Expected one folder for each class. Move the {kind}s into class folders, or pass "
            f"labelled=False. Received: {direct} {kind}s and no class folder with {kind}s in "
            f"{str(folder)!r}"
        )
    others = sum(len(names) for _, _, names in os.walk(folder))
    return (
        f"Expected {kind}s ({', '.join(suffixes)}) in the folder. "
        f"Received: {others} other file(s) and no {kind} in {str(folder)!r}"
    )
