"""From the bytes of an image file to a tensor of one size and value range."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transgen.datasets.image_check import is_plain
from keras_transgen.datasets.image_file import MAX_PIXELS
from keras_transgen.datasets.viewed_image import (
    WHITE,
    Background,
    checked_background,
    read_image,
)

if TYPE_CHECKING:
    import tensorflow as tf

CHANNELS = {"grayscale": 1, "rgb": 3}
# ITU-R BT.601, as Pillow and the JPEG decoder weigh colours.
_LUMA = ((0.299,), (0.587,), (0.114,))


@dataclass(frozen=True)
class Decoding:
    """How files become images, in the words of `image_folder`.

    Attributes:
        size: Height and width in pixels.
        value_range: `(low, high)` that black and white become.
        channels: 1 or 3.
        crop: Cut the middle out of an image of another aspect ratio instead of stretching it.
        antialias: Smooth before downscaling.
        background: Red, green and blue, from 0 to 255, behind what is transparent.
    """

    size: tuple[int, int]
    value_range: tuple[float, float]
    channels: int = 3
    crop: bool = False
    antialias: bool = True
    background: Background = WHITE


def decoding(
    image_size: int | tuple[int, int],
    value_range: tuple[float, float],
    color_mode: str = "rgb",
    crop: bool = False,
    antialias: bool = True,
    background: Sequence[int] = WHITE,
) -> Decoding:
    """The `Decoding` that the arguments of `image_folder` ask for.

    Raises:
        ValueError: One of them is out of its range.
    """
    size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if len(size) != 2 or min(size) < 1:
        raise ValueError(
            "Expected image_size as a number of pixels or (height, width). "
            f"Received: image_size={image_size}"
        )
    if color_mode not in CHANNELS:
        raise ValueError(
            f"Expected color_mode in {sorted(CHANNELS)}. Received: color_mode={color_mode!r}"
        )
    if len(value_range) != 2 or not value_range[0] < value_range[1]:
        raise ValueError(
            f"Expected value_range as (low, high) with low below high. Received: {value_range}"
        )
    low, high = value_range
    colour = checked_background(background)
    return Decoding(size, (low, high), CHANNELS[color_mode], crop, antialias, colour)


def decode_image(
    content: tf.Tensor,
    how: Decoding,
    max_pixels: int = MAX_PIXELS,
    name: Any = "an image",
    plain: Any = None,
) -> tf.Tensor:
    """An image from the bytes of its file, float32 `[height, width, channels]`.

    Args:
        content: The bytes, a string tensor.
        how: What to make of it.
        max_pixels: Most pixels, by the header. Defaults to 67 million (2^26).
        name: What an error calls it, a string or a string tensor.
        plain: As in `decode_pixels`.
    """
    import tensorflow as tf

    low, high = how.value_range
    image = decode_pixels(content, how.background, max_pixels, name, plain)
    if how.crop:
        image = _middle(image, how.size)
    image = tf.image.resize(image, how.size, antialias=how.antialias)
    image.set_shape((*how.size, 3))
    if how.channels == 1:
        image = tf.tensordot(image, tf.constant(_LUMA), axes=1)
    # Smoothing can leave the range by a rounding error.
    return tf.clip_by_value(image * ((high - low) / 255.0) + low, low, high)


def decode_pixels(
    content: tf.Tensor,
    background: Background = WHITE,
    max_pixels: int = MAX_PIXELS,
    name: Any = "an image",
    plain: Any = None,
) -> tf.Tensor:
    """What `read_image` gives, in a graph: uint8 `[height, width, 3]`.

    Args:
        content: The bytes, a string tensor.
        background: Behind what is transparent. Defaults to white.
        max_pixels: Most pixels, by the header. Defaults to 67 million (2^26).
        name: What an error calls it, a string or a string tensor.
        plain: Whether it is a plain JPEG (`image_check.Look`), which TensorFlow decodes without
            Python: a boolean tensor, or `True` for every image. `None`, the default: look.
    """
    import tensorflow as tf

    content, name = tf.convert_to_tensor(content), tf.convert_to_tensor(name)

    def by_tensorflow() -> tf.Tensor:
        # The same numbers as Pillow's, and as quick as TensorFlow's own choice.
        return tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE")

    def by_pillow() -> tf.Tensor:
        def read(content: Any, name: Any) -> np.ndarray:
            return read_image(_bytes(content), background, max_pixels, os.fsdecode(_bytes(name)))

        return tf.numpy_function(read, [content, name], tf.uint8, stateful=False)

    if plain is True:
        image = by_tensorflow()
    else:
        if plain is None:

            def look(content: Any) -> np.bool_:
                return np.bool_(is_plain(_bytes(content), max_pixels))

            plain = tf.numpy_function(look, [content], tf.bool, stateful=False)
        image = tf.cond(tf.ensure_shape(plain, []), by_tensorflow, by_pillow)
    return tf.ensure_shape(image, (None, None, 3))


def _bytes(given: Any) -> bytes:
    """A string from TensorFlow: an array of one where it does not run in a graph."""
    return given if isinstance(given, bytes) else given.item()


def _middle(image: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """The largest middle part of `image` with the aspect ratio of `size`."""
    import tensorflow as tf

    shape = tf.shape(image)
    height, width = shape[0], shape[1]
    crop_height = tf.minimum(height, tf.maximum(1, width * size[0] // size[1]))
    crop_width = tf.minimum(width, tf.maximum(1, height * size[1] // size[0]))
    return tf.image.crop_to_bounding_box(
        image, (height - crop_height) // 2, (width - crop_width) // 2, crop_height, crop_width
    )


def batched(data: tf.data.Dataset, batch_size: int | None) -> tf.data.Dataset:
    """Examples in batches, the last one smaller, and the next ones made meanwhile.

    Raises:
        ValueError: `batch_size` is below 1; `None` leaves single examples.
    """
    import tensorflow as tf

    if batch_size is not None:
        if batch_size < 1:
            raise ValueError(
                f"Expected a batch_size of at least 1, or None. Received: batch_size={batch_size}"
            )
        data = data.batch(batch_size)
    return data.prefetch(tf.data.AUTOTUNE)
