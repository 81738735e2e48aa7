"""List the images of a folder, by class, always in the same order."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_transgen.datasets.folder_index import files_by_class

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
    return ImageIndex(*files_by_class(path, IMAGE_SUFFIXES, "image", labelled))
