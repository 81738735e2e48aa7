"""Images that are varied together with the boxes of their objects."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_transgen.transfer.detection.boxes import areas

#: Augmentations that have a name.
AUGMENTATIONS = ("flip", "crop")
_CROP, _LIGHT = 0.6, 0.2
# An object of which less is left in a crop is no object there.
_LEAST_VISIBLE = 0.3


@keras.saving.register_keras_serializable(package="keras_transgen")
class BoxAugmentation(keras.layers.Layer):
    """Flips, crops and lights images at random, and moves the boxes with them.

    Keras' own layers flip boxes rightly; its `RandomCrop` (3.15) moves them along the wrong axes,
    so crops are made here. A crop is brought back to the image's size; objects of which less than
    three tenths are left in it are dropped, the others end at its edges.

    Args:
        horizontal: Whether left and right are exchanged in half of the images. Defaults to `True`.
        vertical: The same of top and bottom, for what has no upper side, as under a microscope.
            Defaults to `False`.
        smallest_crop: Least side of a crop as a share of the image's, in (0, 1]. Defaults to 1, no
            crops.
        brightness: Most that is added to or taken from all values, as a share of their range.
            Defaults to 0.
        contrast: Most by which the differences from the image's mean grow or shrink, as a share.
            Defaults to 0.
        value_range: `(low, high)` of float images. Defaults to `(0.0, 1.0)`.
        **kwargs: `name`, as in `keras.layers.Layer`.

    Raises:
        ValueError: An argument is out of its range.

    Example:
        ```python
        import numpy as np
        from keras_transgen.transfer.detection import BoxAugmentation

        images = np.zeros((1, 8, 8, 3), "float32")
        boxes, labels = np.float32([[[0, 0, 2, 4]]]), np.array([[0]])
        varied = BoxAugmentation().flipped(images, boxes, [True], [False])
        assert varied[1].numpy().tolist() == [[[6, 0, 8, 4]]]
        ```
    """

    def __init__(
        self,
        horizontal: bool = True,
        vertical: bool = False,
        smallest_crop: float = 1.0,
        brightness: float = 0.0,
        contrast: float = 0.0,
        value_range: tuple[float, float] = (0.0, 1.0),
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        if not 0.0 < smallest_crop <= 1.0:
            raise ValueError(
                f"smallest_crop must be in (0, 1]. Received: smallest_crop={smallest_crop}"
            )
        if not (0.0 <= brightness <= 1.0 and 0.0 <= contrast < 1.0):
            raise ValueError(
                "brightness must be in [0, 1] and contrast in [0, 1). "
                f"Received: brightness={brightness}, contrast={contrast}"
            )
        self.horizontal = bool(horizontal)
        self.vertical = bool(vertical)
        self.smallest_crop = float(smallest_crop)
        self.brightness = float(brightness)
        self.contrast = float(contrast)
        self.value_range = (float(value_range[0]), float(value_range[1]))
        self.built = True

    def call(
        self, images: Any, boxes: Any, labels: Any, seed: Any, flips: Any = None
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Vary a batch.

        Args:
            images: Floats in `value_range`, `[batch, height, width, channels]`.
            boxes: `[batch, objects, 4]`, in pixels.
            labels: Integers `[batch, objects]`; -1 for padding.
            seed: Two integers; the same ones give the same again.
            flips: Two booleans, whether all images are flipped, along the width and the height;
                drawn for each image where not given.

        Returns:
            Images, boxes and labels of the same shapes; the labels of dropped objects are -1.
        """
        batch = tf.shape(images)[0]
        coins, windows, lights = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
        if flips is None:
            drawn = tf.random.stateless_uniform([2, batch], coins) < 0.5
            across, down = drawn[0] & self.horizontal, drawn[1] & self.vertical
        else:
            across, down = (tf.fill([batch], bool(each)) for each in flips)
        images, boxes = self.flipped(images, boxes, across, down)
        if self.smallest_crop < 1.0:
            chosen = self._windows(images, windows)
            images, boxes, labels = self.cropped(images, boxes, labels, chosen)
        return self._lit(images, lights), boxes, labels

    def flips(self) -> list[tuple[bool, bool]]:
        """All ways to flip an image, the plain one first: along the width and the height."""
        return [
            (across, down)
            for down in ((False, True) if self.vertical else (False,))
            for across in ((False, True) if self.horizontal else (False,))
        ]

    def flipped(
        self, images: Any, boxes: Any, across: Any, down: Any
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Images and boxes, flipped where they shall be.

        Args:
            images: `[batch, height, width, channels]`.
            boxes: `[batch, objects, 4]`.
            across: Booleans `[batch]`: whether left and right are exchanged.
            down: Booleans `[batch]`: whether top and bottom are exchanged.
        """
        images, boxes = tf.convert_to_tensor(images), tf.cast(boxes, tf.float32)
        across = tf.convert_to_tensor(across)[:, None, None]
        down = tf.convert_to_tensor(down)[:, None, None]
        height, width = _sides(images)
        left, top, right, bottom = tf.split(boxes, 4, axis=-1)
        left, right = tf.where(across, width - right, left), tf.where(across, width - left, right)
        top, bottom = tf.where(down, height - bottom, top), tf.where(down, height - top, bottom)
        images = tf.where(across[..., None], images[:, :, ::-1], images)
        images = tf.where(down[..., None], images[:, ::-1], images)
        return images, tf.concat([left, top, right, bottom], axis=-1)

    def cropped(
        self, images: Any, boxes: Any, labels: Any, windows: Any
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Windows of images at the images' size, and the objects in them.

        Args:
            images: `[batch, height, width, channels]`.
            boxes: `[batch, objects, 4]`.
            labels: `[batch, objects]`.
            windows: `[batch, 4]`: left, top, right and bottom edge in pixels.
        """
        height, width = _sides(images)
        windows = tf.cast(windows, tf.float32)
        place = windows[:, None, :2]
        size = windows[:, None, 2:] - place
        whole = tf.stack([width, height])
        scale = whole / size
        moved = (boxes - tf.concat([place, place], -1)) * tf.concat([scale, scale], -1)
        inside = tf.clip_by_value(moved, 0.0, tf.concat([whole, whole], 0))
        visible = tf.math.divide_no_nan(areas(inside), areas(moved))
        kept = (labels >= 0) & (visible >= _LEAST_VISIBLE)
        left, top, right, bottom = tf.unstack(windows, axis=-1)
        step_x, step_y = (right - left) / width, (bottom - top) / height
        # From the middle of a pixel to where it comes from: x to step * x + shift.
        none = tf.zeros_like(left)
        transform = tf.stack(
            [
                *(step_x, none, left + 0.5 * step_x - 0.5),
                *(none, step_y, top + 0.5 * step_y - 0.5),
                *(none, none),
            ],
            axis=-1,
        )
        made = keras.ops.image.affine_transform(
            tf.cast(images, tf.float32),
            transform,
            "bilinear",
            "nearest",
            data_format="channels_last",
        )
        return (
            # A network that sees the features of a view wants to know their size.
            tf.ensure_shape(tf.cast(made, images.dtype), images.shape),
            tf.where(kept[..., None], inside, 0.0),
            tf.where(kept, labels, -1),
        )

    def _windows(self, images: Any, seed: Any) -> tf.Tensor:
        """A window of each image, of the image's ratio of width to height."""
        drawn = tf.random.stateless_uniform([3, tf.shape(images)[0], 1], seed)
        height, width = _sides(images)
        whole = tf.stack([width, height])
        size = whole * (self.smallest_crop + (1.0 - self.smallest_crop) * drawn[0])
        place = tf.concat([drawn[1], drawn[2]], axis=-1) * (whole - size)
        return tf.concat([place, place + size], axis=-1)

    def _lit(self, images: Any, seed: Any) -> tf.Tensor:
        if not self.brightness and not self.contrast:
            return images
        low, high = self.value_range
        drawn = tf.random.stateless_uniform([2, tf.shape(images)[0], 1, 1, 1], seed, -1.0, 1.0)
        mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
        images = (images - mean) * (1.0 + self.contrast * drawn[0]) + mean
        return tf.clip_by_value(images + self.brightness * (high - low) * drawn[1], low, high)

    def get_config(self) -> dict[str, Any]:
        """Configuration to make the layer again from."""
        config = super().get_config()
        config.pop("autocast", None)
        settings = ("horizontal", "vertical", "smallest_crop", "brightness", "contrast")
        return {
            **config,
            **{name: getattr(self, name) for name in settings},
            "value_range": self.value_range,
        }


def _sides(images: Any) -> tuple[tf.Tensor, tf.Tensor]:
    shape = tf.cast(tf.shape(images), tf.float32)
    return shape[1], shape[2]


def named_augmentation(
    name: str, value_range: tuple[float, float] = (0.0, 1.0), vertical: bool = False
) -> BoxAugmentation:
    """The augmentation of a name.

    Args:
        name: `"flip"`, which flips, or `"crop"`, which also crops down to 0.6 of each side and
            varies brightness and contrast by a fifth.
        value_range: As in `BoxAugmentation`.
        vertical: As in `BoxAugmentation`.

    Raises:
        ValueError: There is none of this name.
    """
    if name not in AUGMENTATIONS:
        raise ValueError(f"augmentation must be one of {AUGMENTATIONS}. Received: {name!r}")
    further: dict[str, Any] = {"smallest_crop": _CROP, "brightness": _LIGHT, "contrast": _LIGHT}
    return BoxAugmentation(
        vertical=vertical,
        value_range=value_range,
        name="augmentation",
        **(further if name == "crop" else {}),
    )
