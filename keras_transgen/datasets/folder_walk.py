"""The files under a folder, through links too, each real file once."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from keras_transgen.datasets.printable import printable

_DEEPEST = 100


@dataclass(frozen=True)
class FoundFile:
    """A file under a folder.

    Attributes:
        path: Where it was found.
        place: Device and number of the file itself: the same for all links to it.
        group: What the caller calls the part of the folder that it is in: its class.
        links: 0 at its own place, 1 where itself is a link, 2 below a folder that is a link.
        special: Whether it is a pipe, socket or device, which may never end or begin.
    """

    path: str
    place: tuple[int, int]
    group: str
    links: int = 0
    special: bool = False


def found_files(root: str, groups: Sequence[str]) -> list[FoundFile]:
    """All files under a folder that are not hidden; with groups, those in the folders of that name.

    Folders at their own place come first, and then links to folders that are none of those: so a
    link that leads back or upwards adds nothing.

    Raises:
        ValueError: Folders lie too deep.
    """
    files: list[FoundFile] = []
    seen: set[tuple[int, int]] = set()
    links: list[tuple[str, str]] = []
    if groups:
        seen.add(_place(os.stat(root), root))
    for group in groups or ("",):
        folder = os.path.join(root, group) if group else root
        if group and os.path.islink(folder):
            links.append((group, folder))
        else:
            files += _walk(group, folder, 0, seen, links)
    # The same folder may be linked to from two groups, which is for `once_each` to judge.
    seen_in = {group: set(seen) for group in groups or ("",)}
    inside = os.path.realpath(root)
    while links:
        group, folder = links.pop(0)
        if _contains(os.path.realpath(folder), inside):
            # It leads upwards, out of the folder to all that lies beside it.
            continue
        files += _walk(group, folder, 2, seen_in[group], links)
    return files


def _contains(folder: str, other: str) -> bool:
    return os.path.commonpath([folder, other]) == folder


def once_each(files: Iterable[FoundFile]) -> list[FoundFile]:
    """Each real file once, by path: at its own place if it has one here, else at the first link.

    Raises:
        ValueError: A file is in two groups, by links to it or hard links.
    """
    by_place: dict[tuple[int, int], list[FoundFile]] = {}
    for file in sorted(files, key=lambda file: (file.links, file.path)):
        by_place.setdefault(file.place, []).append(file)
    kept = []
    for first, *others in by_place.values():
        # What only a folder's link leads to is the folder's; who links a file means it.
        meant = [other for other in others if other.links < 2 or first.links > 0]
        twice = next((other for other in meant if other.group != first.group), None)
        if twice is not None:
            raise ValueError(
                "Expected every file in one class only. Remove one of the two links. Received: "
                f"{printable(first.path)} and {printable(twice.path)}, which are one file"
            )
        kept.append(first)
    return sorted(kept, key=lambda file: file.path)


def _walk(
    group: str,
    folder: str,
    links: int,
    seen: set[tuple[int, int]],
    linked_folders: list[tuple[str, str]],
) -> Iterator[FoundFile]:
    waiting = [(folder, 0)]
    while waiting:
        parent, depth = waiting.pop()
        if depth > _DEEPEST:
            raise ValueError(
                f"Expected files not more than {_DEEPEST} folders deep. "
                f"Received: {printable(parent, 300)}"
            )
        place = _place(os.stat(parent), parent)
        if place in seen:
            continue
        seen.add(place)
        with os.scandir(parent) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_symlink() and os.path.isdir(entry.path):
                    linked_folders.append((group, entry.path))
                elif entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, depth + 1))
                else:
                    yield _file(group, entry, links)


def _file(group: str, entry: os.DirEntry[str], links: int) -> FoundFile:
    links = max(links, int(entry.is_symlink()))
    try:
        found = os.stat(entry.path)
    except OSError:
        # A link to nothing: reading it says so, by name.
        found = entry.stat(follow_symlinks=False)
    special = not (stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode))
    return FoundFile(entry.path, _place(found, entry.path), group, links, special)


def _place(found: os.stat_result, path: str) -> tuple[int, int]:
    # Some network file systems number nothing: there every path is a file of its own.
    return found.st_dev, found.st_ino or hash(path)
