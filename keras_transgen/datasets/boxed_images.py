"""Images with boxes around what they show, as a `tf.data` data set."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transgen.datasets.image_check import unreadable_images
from keras_transgen.datasets.image_file import height_and_width
from keras_transgen.datasets.printable import printable
from keras_transgen.datasets.viewed_image import read_image

if TYPE_CHECKING:
    import tensorflow as tf

_NAMED = 5


@dataclass(frozen=True)
class BoxedImage:
    """An image file and its boxes.

    Attributes:
        path: The file.
        size: Height and width in pixels, as the annotation says.
        boxes: `[count, 4]`: left, top, right and bottom edge in pixels from the image's upper left
            corner.
        labels: int64 `[count]`.
    """

    path: str
    size: tuple[int, int]
    boxes: np.ndarray
    labels: np.ndarray


def boxed_dataset(
    images: Sequence[BoxedImage],
    class_names: Sequence[str],
    image_size: int | tuple[int, int] | None = None,
    *,
    skip_empty: bool = False,
    shuffle: bool = False,
    seed: int = 0,
) -> tf.data.Dataset:
    """The images with their boxes as a data set, decoded when they are asked for.

    Boxes are cut at the edges of their images; one warning counts those that lost more than a
    pixel by it.

    Args:
        images: The files and their boxes.
        class_names: Names of the labels.
        image_size: Height and width, or one number for both, that images are stretched to, and
            boxes with them. Defaults to each image's own.
        skip_empty: Leave out boxes without an area in their image. Defaults to `False`, which
            refuses them.
        shuffle: Another order in every epoch.
        seed: Of the shuffling.

    Returns:
        Elements `(image, {"boxes": boxes, "labels": labels})`: uint8 `[height, width, 3]`, float32
        `[count, 4]`, int64 `[count]`; with the attributes `class_names` and `file_paths`.

    Raises:
        ValueError: If there are no images, a box is not finite or has no area in its image, an
            image cannot be read or has another size than its annotation says, or `image_size` is
            out of its range.
    """
    import tensorflow as tf

    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise ValueError(
            "Expected image_size as a number of pixels, (height, width) or None. "
            f"Received: image_size={image_size}"
        )
    if not images:
        raise ValueError("Expected images with annotations. Received: none")
    fitted = _fitted(images, skip_empty)
    _refuse_unreadable([image.path for image in images])
    _refuse_other_sizes(images)

    def read(number: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        image = fitted[int(number)]
        return _pixels(image, size), _stretched(image, size), image.labels

    def example(number: tf.Tensor) -> Any:
        pixels, boxes, labels = tf.numpy_function(
            read, [number], (tf.uint8, tf.float32, tf.int64), stateful=False
        )
        pixels.set_shape([*(size or (None, None)), 3])
        boxes.set_shape([None, 4])
        labels.set_shape([None])
        return pixels, {"boxes": boxes, "labels": labels}

    data = tf.data.Dataset.range(len(fitted))
    if shuffle:
        data = data.shuffle(len(fitted), seed=seed)
    data = data.map(example, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    data.class_names = list(class_names)
    data.file_paths = [image.path for image in fitted]
    return data


def number_or_nan(value: object) -> float:
    """A number that somebody wrote, NaN where it is none."""
    if isinstance(value, bool):
        return float("nan")
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def _fitted(images: Sequence[BoxedImage], skip_empty: bool) -> list[BoxedImage]:
    made, cut = [], []
    for image in images:
        boxes = np.asarray(image.boxes, "float64").reshape(-1, 4)
        height, width = image.size
        if not np.isfinite(boxes).all():
            place = int(np.argmin(np.isfinite(boxes).all(axis=1)))
            raise ValueError(
                "Expected boxes of four finite numbers. "
                f"Received: box {place} of {printable(image.path)}"
            )
        inside = np.clip(boxes, 0, [width, height, width, height])
        # By float32, which the data set gives: a box may have an area in more digits only.
        corners = inside.astype("float32")
        areal = (corners[:, 2:] > corners[:, :2]).all(axis=1)
        if not (areal.all() or skip_empty):
            place = int(np.argmin(areal))
            raise ValueError(
                "Expected boxes that have an area in their image, the left edge before the right "
                "and the upper before the lower one. Correct the annotation, or leave such boxes "
                f"out with skip_empty=True. Received: box {place}, {boxes[place].tolist()}, of "
                f"{printable(image.path)}, {width} x {height} pixels"
            )
        # Less is rounding, and the difference of counting pixels from 0 or 1.
        moved = (np.abs(inside - boxes) > 1).any(axis=1) & areal
        if moved.any():
            cut.append((image.path, int(moved.sum())))
        made.append(BoxedImage(image.path, image.size, corners[areal], image.labels[areal]))
    if cut:
        warnings.warn(
            f"{sum(count for _, count in cut)} box(es) of {len(cut)} image(s) reach out of them "
            f"and were cut at their edges, the first of {printable(cut[0][0])}",
            stacklevel=4,
        )
    return made


def _refuse_unreadable(paths: list[str]) -> None:
    broken = unreadable_images(paths, thorough=False)
    if broken:
        listed = "; ".join(
            f"{printable(path)} ({printable(reason)})"
            for path, reason in list(broken.items())[:_NAMED]
        )
        raise ValueError(
            "Expected files that can be read as images. Replace the broken ones, or remove them "
            "and their annotations. "
            f"Received: {len(broken)} unreadable of {len(paths)}, such as {listed}"
        )


def _refuse_other_sizes(images: Sequence[BoxedImage]) -> None:
    with ThreadPoolExecutor(min(32, 4 * (os.cpu_count() or 1))) as pool:
        shown = list(pool.map(height_and_width, [image.path for image in images]))
    others = [
        f"{printable(image.path)}, {size[1]} x {size[0]} pixels, annotated as "
        f"{image.size[1]} x {image.size[0]}"
        for image, size in zip(images, shown)
        if size != tuple(image.size)
    ]
    if others:
        raise ValueError(
            "Expected images of the size that their annotations say, turned as a viewer shows "
            "them (Exif); boxes of another size lie elsewhere. Correct the annotations, or take "
            "the orientation out of the files if they were annotated without it. "
            f"Received: {len(others)} of {len(images)}: {'; '.join(others[:_NAMED])}"
        )


def _pixels(image: BoxedImage, size: tuple[int, int] | None) -> np.ndarray:
    from PIL import Image

    picture = Image.fromarray(read_image(image.path))
    height, width = image.size
    if picture.size != (width, height):
        raise ValueError(
            "Expected an image of the size that its annotation says; its boxes mean another one. "
            f"Received: {printable(image.path)}, {picture.width} x {picture.height} pixels, "
            f"annotated as {width} x {height}"
        )
    if size is not None:
        picture = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(picture)


def _stretched(image: BoxedImage, size: tuple[int, int] | None) -> np.ndarray:
    if size is None:
        return image.boxes
    across, down = size[1] / image.size[1], size[0] / image.size[0]
    return (image.boxes * np.array([across, down, across, down])).astype("float32")
