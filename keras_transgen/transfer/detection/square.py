"""From an image of any size to the square that a network sees, and back."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf


def check_kind(dtype: Any) -> None:
    """Refuse images of which nobody says what the values mean.

    Args:
        dtype: Of images: uint8 goes from 0 to 255, floats have the model's range.

    Raises:
        ValueError: It is another one.
    """
    kind = tf.as_dtype(dtype)
    if kind != tf.uint8 and not kind.is_floating:
        raise ValueError(
            "Expected uint8 images, or floats in value_range: bring other integers there, "
            "(images / 65535).astype('float32') for uint16 and the range (0, 1). "
            f"Received: images of {kind.name}"
        )


class Square(NamedTuple):
    """How images become squares.

    Attributes:
        side: Height and width in pixels.
        value_range: Range of float images.
        keep_ratio: Whether images keep their ratio of width to height, and what is left free to the
            right or below them has the lowest value; otherwise they are stretched.
    """

    side: int
    value_range: tuple[float, float] = (0.0, 1.0)
    keep_ratio: bool = False

    def image(self, image: Any) -> tf.Tensor:
        """An image `[height, width, channels]` as a square, in its own dtype."""
        whole = tf.as_dtype(image.dtype).is_integer
        made = tf.image.resize(image, self._inner(tf.shape(image)[:2]), antialias=True)
        if whole:
            made = tf.clip_by_value(tf.round(made), 0.0, 255.0)
        if self.keep_ratio:
            below, right = tf.unstack(self.side - tf.shape(made)[:2])
            free = 0.0 if whole else self.value_range[0]
            made = tf.pad(made, [[0, below], [0, right], [0, 0]], constant_values=free)
        return tf.ensure_shape(tf.cast(made, image.dtype), (self.side, self.side, image.shape[-1]))

    def scale(self, size: Any) -> tf.Tensor:
        """Pixels of the square for one of the image, along the width and along the height.

        Args:
            size: Height and width of the image.
        """
        return tf.reverse(self._inner(size) / tf.convert_to_tensor(size, tf.int32), [0])

    def _inner(self, size: Any) -> tf.Tensor:
        """Height and width that the image takes of the square."""
        if not self.keep_ratio:
            return tf.constant([self.side, self.side])
        size = tf.cast(size, tf.float32)
        inner = tf.round(size * (self.side / tf.reduce_max(size)))
        return tf.cast(tf.maximum(inner, 1.0), tf.int32)
