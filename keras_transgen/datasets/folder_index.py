"""List the files of one kind in a folder, by class, always in the same order."""

import os
from pathlib import Path

import numpy as np

from keras_transgen.datasets.image_file import is_special_file
from keras_transgen.datasets.printable import printable

_DEEPEST = 100


def files_by_class(
    path: str | Path, suffixes: tuple[str, ...], kind: str, labelled: bool = True
) -> tuple[tuple[str, ...], np.ndarray | None, tuple[str, ...] | None]:
    """The files under a folder; with `labelled`, one class for each folder in it.

    Hidden files and folders are passed over.

    Args:
        path: The folder. Classes are the folders in it; files may lie deeper.
        suffixes: What the files' names end in, in small letters.
        kind: What errors call one of them: `"image"`.
        labelled: Whether the folders in it are classes. Defaults to `True`.

    Returns:
        `(paths, labels, class_names)`: by class and then by path; the last two are `None` without
        classes.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If there are no files, a class without files, one class only, or a pipe, socket
            or device among the files.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        there = "a file" if folder.exists() else "nothing there"
        raise FileNotFoundError(
            f"Expected a folder of {kind}s. Received: path={str(path)!r} ({there})"
        )
    if not labelled:
        paths = files_under(folder, suffixes, kind)
        if not paths:
            raise ValueError(_none_found(folder, suffixes, kind))
        return tuple(paths), None, None

    classes = sorted(p.name for p in folder.iterdir() if p.is_dir() and not _hidden(p.name))
    found = {name: files_under(folder / name, suffixes, kind) for name in classes}
    if not any(found.values()):
        raise ValueError(_none_found(folder, suffixes, kind))
    empty = [name for name in classes if not found[name]]
    if empty:
        raise ValueError(
            f"Expected {kind}s in every class folder. Remove the empty folders or add {kind}s "
            f"({', '.join(suffixes)}). Received: no {kind}s in {empty} of {str(folder)!r}"
        )
    if len(classes) == 1:
        raise ValueError(
            f"Expected at least two classes, each a folder of {kind}s. For {kind}s without "
            f"classes, pass labelled=False. Received: one class, {classes[0]!r}, in {str(folder)!r}"
        )
    labels = np.repeat(np.arange(len(classes)), [len(found[name]) for name in classes])
    paths = [file for name in classes for file in found[name]]
    return tuple(paths), labels.astype("int64"), tuple(classes)


def files_under(folder: Path, suffixes: tuple[str, ...], kind: str) -> list[str]:
    """The files of these suffixes in a folder and those in it, sorted."""
    found: list[str] = []
    depth = str(folder).count(os.sep)
    visited: set[tuple[int, int]] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        place = os.stat(parent)
        # A link may lead back, and two of them in more ways than can be walked.
        if (place.st_dev, place.st_ino) in visited:
            folders[:] = []
            continue
        visited.add((place.st_dev, place.st_ino))
        if parent.count(os.sep) - depth > _DEEPEST:
            raise ValueError(
                f"Expected {kind}s not more than {_DEEPEST} folders deep. "
                f"Received: {printable(parent, 300)}"
            )
        folders[:] = sorted(name for name in folders if not _hidden(name))
        found += [
            os.path.join(parent, name)
            for name in files
            if name.lower().endswith(suffixes) and not _hidden(name)
        ]
    special = next(filter(is_special_file, found), None)
    if special is not None:
        raise ValueError(
            "Expected plain files; a pipe, socket or device may never come to an end. Remove it. "
            f"Received: {printable(special)}"
        )
    return sorted(found)


def _hidden(name: str) -> bool:
    return name.startswith(".")


def _none_found(folder: Path, suffixes: tuple[str, ...], kind: str) -> str:
    direct = files_under(folder, suffixes, kind)
    if direct:
        return (
            f"Expected one folder for each class. Move the {kind}s into class folders, or pass "
            f"labelled=False. Received: {len(direct)} {kind}s and no class folder with {kind}s in "
            f"{str(folder)!r}"
        )
    others = sum(len(files) for _, _, files in os.walk(folder))
    return (
        f"Expected {kind}s ({', '.join(suffixes)}) in the folder. "
        f"Received: {others} other file(s) and no {kind} in {str(folder)!r}"
    )
