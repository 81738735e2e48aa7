"""From the bytes of an image file to a tensor of one size and value range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keras_transgen.datasets.image_size import MAX_PIXELS, checked_pixels

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
    """

    size: tuple[int, int]
    value_range: tuple[float, float]
    channels: int = 3
    crop: bool = False
    antialias: bool = True


def decoding(
    image_size: int | tuple[int, int],
    value_range: tuple[float, float],
    color_mode: str = "rgb",
    crop: bool = False,
    antialias: bool = True,
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
    return Decoding(size, (low, high), CHANNELS[color_mode], crop, antialias)


def decode_image(
    content: tf.Tensor,
    how: Decoding,
    max_pixels: int | None = MAX_PIXELS,
    name: Any = "an image",
) -> tf.Tensor:
    """An image from the bytes of its file, float32 `[height, width, channels]`.

    Args:
        content: The bytes, a string tensor.
        how: What to make of it.
        max_pixels: Most pixels, by the header; `None` for a file that was looked at before.
        name: What an error calls it, a string or a string tensor.
    """
    import tensorflow as tf

    if max_pixels is not None:
        content = checked_pixels(content, max_pixels, name)
    low, high = how.value_range
    # Not every format can be decoded to one channel.
    image = tf.io.decode_image(content, channels=3, expand_animations=False)
    if how.crop:
        image = _middle(image, how.size)
    image = tf.image.resize(image, how.size, antialias=how.antialias)
    image.set_shape((*how.size, 3))
    if how.channels == 1:
        image = tf.tensordot(image, tf.constant(_LUMA), axes=1)
    # Smoothing can leave the range by a rounding error.
    return tf.clip_by_value(image * ((high - low) / 255.0) + low, low, high)


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
