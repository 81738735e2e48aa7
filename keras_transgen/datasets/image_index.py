"""List the images of a folder, by class, always in the same order."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_transgen.datasets.folder_walk import FoundFile, found_files, once_each
from keras_transgen.datasets.printable import printable

_JPEG_SUFFIXES = (".jfif", ".jpe", ".jpeg", ".jpg")
IMAGE_SUFFIXES = (".bmp", ".gif", *_JPEG_SUFFIXES, ".png", ".tif", ".tiff", ".webp")
# What stands beside images and is never meant to be one.
_COMPANIONS = ("desktop", "ehthumbs", "licence", "license", "readme", "thumbs")
_NAMED = 5


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

    def part(self, positions: np.ndarray) -> ImageIndex:
        """The images at these positions, of the same classes."""
        labels = None if self.labels is None else self.labels[positions]
        return ImageIndex(tuple(self.paths[i] for i in positions), labels, self.class_names)


def index_images(path: str | Path, labelled: bool = True) -> ImageIndex:
    """The images under a folder; with `labelled`, one class for each folder in it.

    Hidden files and folders are passed over, and so are files that are no images by their suffix
    (`.bmp`, `.gif`, `.jfif`, `.jpe`, `.jpeg`, `.jpg`, `.png`, `.tif`, `.tiff`, `.webp`).

    Links are followed, and each real file is taken once: at its own place if that is in the
    folder, at a link if not. So a link to a folder that is there anyway adds nothing.

    Args:
        path: The folder. Classes are the folders in it; images may lie deeper.
        labelled: Whether the folders in it are classes. Defaults to `True`.

    Returns:
        An `ImageIndex`.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If there are no images, a class without images, one class only, a file that is
            linked into two classes, or a pipe, socket or device among the images.

    Example:
        ```python no-run
        from keras_transgen.datasets import index_images

        index = index_images("../shared/data/ants_bees/train")
        assert index.class_names == ("ants", "bees")
        ```
    """
    return list_images(path, labelled)


def list_images(path: str | Path, labelled: bool = True, caller: str | None = None) -> ImageIndex:
    """`index_images`, with one warning, in the words of `caller`, of what is passed over."""
    folder = Path(path).expanduser()
    if not folder.is_dir():
        kind = "a file" if folder.exists() else "nothing there"
        raise FileNotFoundError(
            f"Expected a folder of images. Received: path={str(path)!r} ({kind})"
        )
    classes = _folders_in(folder) if labelled else []
    files = [] if labelled and not classes else found_files(str(folder), classes)
    images = once_each(file for file in files if _is_image(file.path))
    special = next((file for file in images if file.special), None)
    if special is not None:
        raise ValueError(
            "Expected plain files; a pipe, socket or device may never come to an end. Remove it. "
            f"Received: {printable(special.path)}"
        )
    if not images:
        raise ValueError(_no_images(folder))
    if caller is not None:
        _tell_of_others(folder, files, labelled, caller)
    if not labelled:
        return ImageIndex(tuple(file.path for file in images), None, None)
    return _by_class(images, classes, folder)


def _by_class(images: list[FoundFile], classes: list[str], folder: Path) -> ImageIndex:
    found: dict[str, list[str]] = {name: [] for name in classes}
    for file in images:
        found[file.group].append(file.path)
    empty = [name for name in classes if not found[name]]
    if empty:
        raise ValueError(
            "Expected images in every class folder. Remove the empty folders or add images "
            f"({', '.join(IMAGE_SUFFIXES)}); links to images of other classes do not count. "
            f"Received: no images in {empty} of {str(folder)!r}"
        )
    if len(classes) == 1:
        raise ValueError(
            "Expected at least two classes, each a folder of images. For images without classes, "
            f"pass labelled=False. Received: one class, {classes[0]!r}, in {str(folder)!r}"
        )
    labels = np.repeat(np.arange(len(classes)), [len(found[name]) for name in classes])
    paths = [file for name in classes for file in found[name]]
    return ImageIndex(tuple(paths), labels.astype("int64"), tuple(classes))


def _folders_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _is_image(path: str) -> bool:
    return path.lower().endswith(IMAGE_SUFFIXES)


def _tell_of_others(folder: Path, files: list[FoundFile], labelled: bool, caller: str) -> None:
    """What is passed over is counted, not listed, and READMEs not even that."""
    names = [os.path.basename(file.path).lower() for file in files if not _is_image(file.path)]
    names = [name for name in names if os.path.splitext(name)[0] not in _COMPANIONS]
    if names:
        suffixes = Counter(os.path.splitext(name)[1] or "none" for name in names).most_common()
        listed = ", ".join(
            f"{printable(suffix, 20)}: {count}" for suffix, count in suffixes[:_NAMED]
        )
        more = f", {len(suffixes) - _NAMED} more" if len(suffixes) > _NAMED else ""
        are = "files that are no images by their suffix"
        if len(names) == 1:
            are = "file that is no image by its suffix"
        warnings.warn(f"{caller} passes over {len(names)} {are} ({listed}{more})", stacklevel=4)
    loose = len(_images_in(folder)) if labelled else 0
    if loose:
        warnings.warn(
            f"{caller} passes over {loose} image(s) in no class folder, but beside them",
            stacklevel=4,
        )


def _images_in(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if _is_image(name) and not name.startswith(".")]


def _no_images(folder: Path) -> str:
    direct = len(_images_in(folder))
    if direct:
        return (
            "Expected one folder for each class. Move the images into class folders, or pass "
            f"labelled=False. Received: {direct} images and no class folder with images in "
            f"{str(folder)!r}"
        )
    others = sum(len(names) for _, _, names in os.walk(folder))
    return (
        f"Expected images ({', '.join(IMAGE_SUFFIXES)}) in the folder. "
        f"Received: {others} other file(s) and no image in {str(folder)!r}"
    )
