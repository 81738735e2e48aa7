"""List the images of a folder, by class, always in the same order."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_transgen.datasets.image_file import is_special_file
from keras_transgen.datasets.printable import printable

_DEEPEST = 100
IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")


@dataclass(frozen=True)
class ImageIndex:
    """The images of a folder.

    Attributes:
        paths: The files, ordered by class and then by path.
        labels: int64 `[count]`, positions in `class_names`; `None` for images without classes.
        class_names: Names of the classes, sorted; `None` for images without classes.
    """

    paths: tuple[str, ...]
    labels: np.ndarray | None
    class_names: tuple[str, ...] | None


def index_images(path: str | Path, labelled: bool = True) -> ImageIndex:
    """The images under a folder; with `labelled`, one class for each folder in it.

    Hidden files and folders are passed over, and so are files that are no images by their suffix
    (`.bmp`, `.gif`, `.jpeg`, `.jpg`, `.png`,
    `.webp`).

    Args:
        path: The folder. Classes are the folders in it; images may lie deeper.
        labelled: Whether the folders in it are classes. Defaults to `True`.

    Returns:
        An `ImageIndex`.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If there are no images, a class without images, one class only, or a pipe,
            socket or device among the images.

    Example:
        ```python no-run
        from keras_transgen.datasets import index_images

        index = index_images("../shared/data/ants_bees/train")
        assert index.class_names == ("ants", "bees")
        ```
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        kind = "a file" if folder.exists() else "nothing there"
        raise FileNotFoundError(
            f"Expected a folder of images. Received: path={str(path)!r} ({kind})"
        )
    if not labelled:
        paths = _images_under(folder)
        if not paths:
            raise ValueError(_no_images(folder))
        return ImageIndex(tuple(paths), None, None)

    classes = sorted(p.name for p in folder.iterdir() if p.is_dir() and not _hidden(p.name))
    found = {name: _images_under(folder / name) for name in classes}
    if not any(found.values()):
        raise ValueError(_no_images(folder))
    empty = [name for name in classes if not found[name]]
    if empty:
        raise ValueError(
            "Expected images in every class folder. Remove the empty folders or add images "
            f"({', '.join(IMAGE_SUFFIXES)}). Received: no images in {empty} of {str(folder)!r}"
        )
    if len(classes) == 1:
        raise ValueError(
            "Expected at least two classes, each a folder of images. For images without classes, "
            f"pass labelled=False. Received: one class, {classes[0]!r}, in {str(folder)!r}"
        )
    labels = np.repeat(np.arange(len(classes)), [len(found[name]) for name in classes])
    paths = [file for name in classes for file in found[name]]
    return ImageIndex(tuple(paths), labels.astype("int64"), tuple(classes))


def _images_under(folder: Path) -> list[str]:
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
                f"Expected images not more than {_DEEPEST} folders deep. "
                f"Received: {printable(parent, 300)}"
            )
        folders[:] = sorted(name for name in folders if not _hidden(name))
        found += [
            os.path.join(parent, name)
            for name in files
            if name.lower().endswith(IMAGE_SUFFIXES) and not _hidden(name)
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


def _no_images(folder: Path) -> str:
    direct = _images_under(folder)
    if direct:
        return (
            "Expected one folder for each class. Move the images into class folders, or pass "
            f"labelled=False. Received: {len(direct)} images and no class folder with images in "
            f"{str(folder)!r}"
        )
    others = sum(len(files) for _, _, files in os.walk(folder))
    return (
        f"Expected images ({', '.join(IMAGE_SUFFIXES)}) in the folder. "
        f"Received: {others} other file(s) and no image in {str(folder)!r}"
    )
