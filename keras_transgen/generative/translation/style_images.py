"""Style and content images on their way in: scaled, cut in proportion, padded to a grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

_LARGEST_BYTE = 255.0


def checked_image(image: Any, name: str, value_range: tuple[float, float]) -> np.ndarray:
    """One image `[height, width, 1 or 3]`, uint8 or float in the range, as float32 in the range."""
    values = np.asarray(image)
    if values.ndim != 3 or values.shape[-1] not in (1, 3) or 0 in values.shape:
        raise ValueError(
            f"{name} must be one image [height, width, channels] with 1 or 3 channels. "
            f"Received: {name} of shape {list(values.shape)}"
        )
    low, high = value_range
    if values.dtype == np.uint8:
        return (values.astype("float32") * ((high - low) / _LARGEST_BYTE) + low).astype("float32")
    tolerance = 1e-3 * (high - low)
    if values.dtype.kind != "f" or not (
        values.min() >= low - tolerance and values.max() <= high + tolerance
    ):
        raise ValueError(
            f"{name} must be uint8, or float with values in [{low:g}, {high:g}]. Received: {name} "
            f"of type {values.dtype} with values from {values.min()} to {values.max()}"
        )
    return values.astype("float32")


def image_list(images: Any, name: str) -> list[Any]:
    """An image, an array of several, or a sequence of images of any sizes, as a list."""
    if hasattr(images, "shape"):
        images = [images] if len(images.shape) == 3 else list(images)
    if not isinstance(images, Sequence) or not len(images):
        raise ValueError(
            f"{name} must be an image [height, width, channels] or several of them. "
            f"Received: {name} of type {type(images).__name__}"
        )
    return list(images)


def covering(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """An image resized so that it covers `(height, width, channels)`, its overhang cut off.

    Colours are made grey, grey is repeated.
    """
    size, channels = shape[:2], shape[2]
    height, width = image.shape[:2]
    scale = max(size[0] / height, size[1] / width)
    enlarged = (max(size[0], round(height * scale)), max(size[1], round(width * scale)))
    values = tf.convert_to_tensor(image)
    if enlarged != (height, width):
        values = tf.image.resize(values, enlarged, antialias=True)
    values = tf.image.resize_with_crop_or_pad(values, *size)
    if channels == 1 and image.shape[-1] == 3:
        values = tf.image.rgb_to_grayscale(values)
    elif channels == 3 and image.shape[-1] == 1:
        values = tf.repeat(values, 3, axis=-1)
    return np.clip(values.numpy(), image.min(), image.max())


def padded_to(images: tf.Tensor, multiple: int) -> tf.Tensor:
    """Images continued by their mirror image below and to the right, to sides that divide."""
    sides = tf.shape(images)[1:3]
    more = -sides % multiple
    return tf.pad(images, [[0, 0], [0, more[0]], [0, more[1]], [0, 0]], mode="SYMMETRIC")
