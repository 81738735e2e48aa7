"""List the images of a folder, by class, always in the same order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_transgen.datasets.file_suffixes import IMAGE_SUFFIXES
from keras_transgen.datasets.folder_index import files_by_class


@dataclass(frozen=True)
class ImageIndex:
    """The images of a folder.

    Attributes:
        paths: The files, ordered by class and then by path.
        labels: int64 `[count]`, positions in `class_names`; `None` for images without classes.
        class_names: Names of the classes, sorted, numbers by value; `None` for images without
            classes.
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
    return ImageIndex(*files_by_class(path, IMAGE_SUFFIXES, "image", labelled, caller))
