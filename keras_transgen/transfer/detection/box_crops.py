"""What is in the boxes of images, as images of one size for a classifier."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_transgen.transfer.detection.square import Square, check_kind

MARGIN = 0.1


def crop_boxes(
    images: Sequence[Any],
    objects: Sequence[Any],
    image_size: int,
    margin: float = MARGIN,
) -> np.ndarray:
    """Cut each box out of its image, as a square around it, at one size.

    A square keeps things in proportion. One that reaches out of its image is moved into it, and is
    cut to the image's height or width where that is less; only then is what it shows stretched.

    Args:
        images: `[height, width, channels]` each, of any sizes; an array of them, or a list.
        objects: For each image a dict or an object of `"boxes"` `[n, 4]` (left, top, right and
            bottom edge in pixels) and `"labels"` `[n]`, below 0 for padding: as `Detector.detect`
            returns them, or as `datasets.voc_boxes` gives them.
        image_size: Height and width of the crops in pixels.
        margin: How much of the box's longer side is seen around it, on each side. Defaults to 0.1.

    Returns:
        `[boxes, image_size, image_size, channels]` in the images' dtype: the boxes of the first
        image, then those of the second, ...

    Raises:
        ValueError: There are not as many objects as images, images have other channels than the
            first, a box has no area in its image, or an argument is out of its range.

    Example:
        ```python
        import numpy as np
        from keras_transgen.transfer.detection import crop_boxes

        image = np.arange(64.0, dtype="float32").reshape(8, 8, 1)
        found = {"boxes": [[2, 2, 4, 4]], "labels": [0]}
        crop = crop_boxes([image], [found], 2, margin=0.0)[0]
        assert (crop[..., 0] == [[18, 19], [26, 27]]).all()
        ```
    """
    pictures = [np.asarray(image) for image in images]
    check_crops(pictures, objects, image_size, margin)
    boxes = [_boxes(each, place) for place, each in enumerate(objects)]
    channels = pictures[0].shape[-1]
    places = [
        (place, square)
        for place, (picture, found) in enumerate(zip(pictures, boxes))
        for square in _squares(found, picture.shape[:2], margin, place)
    ]
    if not places:
        return np.zeros([0, image_size, image_size, channels], pictures[0].dtype)

    def parts() -> Iterator[np.ndarray]:
        for place, (left, top, right, bottom) in places:
            yield pictures[place][top:bottom, left:right]

    specification = tf.TensorSpec([None, None, channels], pictures[0].dtype)
    data = tf.data.Dataset.from_generator(parts, output_signature=specification)
    sized = data.map(Square(image_size).image, num_parallel_calls=tf.data.AUTOTUNE)
    return np.stack(list(sized.prefetch(tf.data.AUTOTUNE).as_numpy_iterator()))


def check_crops(
    images: Sequence[np.ndarray], objects: Sequence[Any], image_size: int, margin: float
) -> None:
    """Refuse what cannot be cropped.

    Raises:
        ValueError: As in `crop_boxes`.
    """
    if not images or len(images) != len(objects):
        raise ValueError(
            "Expected objects for each image, of one image at least. "
            f"Received: {len(images)} images, objects of {len(objects)}"
        )
    kinds = {(image.dtype, image.ndim, image.shape[-1] if image.ndim else 0) for image in images}
    if len(kinds) > 1 or images[0].ndim != 3:
        raise ValueError(
            "Expected images [height, width, channels], all of the same channels and dtype. "
            f"Received: {sorted({f'{image.dtype} {image.shape}' for image in images})[:3]}"
        )
    check_kind(images[0].dtype)
    if image_size < 1 or not 0.0 <= margin < float("inf"):
        raise ValueError(
            "image_size must be at least 1, and margin a number of at least 0. "
            f"Received: image_size={image_size}, margin={margin}"
        )


def _boxes(objects: Any, place: int) -> np.ndarray:
    boxes, labels = (
        objects[name] if isinstance(objects, dict) else getattr(objects, name)
        for name in ("boxes", "labels")
    )
    boxes = np.asarray(boxes, "float64").reshape(-1, 4)
    if len(boxes) != len(labels) or not np.isfinite(boxes).all():
        raise ValueError(
            "Expected finite boxes [n, 4] and as many labels of each image. "
            f"Received: {len(boxes)} boxes, {len(labels)} labels of image {place}"
        )
    return boxes[np.asarray(labels, int) >= 0]


def _squares(boxes: np.ndarray, size: tuple[int, ...], margin: float, place: int) -> np.ndarray:
    """Left, top, right and bottom edge of what is cut out, as whole pixels `[n, 4]`."""
    edges = np.array([size[1], size[0]], "float64")
    inside = np.clip(boxes, 0.0, np.tile(edges, 2))
    is_good = (inside[:, 2:] > inside[:, :2]).all(axis=1)
    if not is_good.all():
        wrong = boxes[int(np.argmin(is_good))].tolist()
        raise ValueError(
            "Expected boxes [left, top, right, bottom] that have an area in their image. "
            f"Received: {wrong} in image {place} of {size[1]} x {size[0]} pixels"
        )
    side = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) * (1 + 2 * margin)
    sides = np.minimum(np.maximum(np.round(side), 1.0), edges)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    start = np.clip(np.round(middle - sides / 2), 0.0, edges - sides)
    return np.concatenate([start, start + sides], axis=1).astype(int)
