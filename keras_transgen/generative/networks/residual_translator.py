"""A generator from images to images that works on a quarter of their size, by residual blocks."""

from __future__ import annotations

from typing import Any

import keras

from keras_transgen.generative.networks.normalization import normalized
from keras_transgen.generative.networks.reflection_padding import ReflectionPadding2D
from keras_transgen.generative.networks.value_range import InValueRange

_HALVINGS = 2
_SMALLEST = 8
_LARGE = 256


def residual_translator(
    image_shape: tuple[int, ...] = (256, 256, 3),
    channels: int | None = None,
    filters: int = 64,
    blocks: int | None = None,
    normalization: str | None = "instance",
    value_range: tuple[float, float] | None = (-1.0, 1.0),
    name: str = "generator",
) -> keras.Model:
    """Two convolutions of stride 2, residual blocks, and back to the size of the image.

    Args:
        image_shape: `(height, width, channels)` of the input, sides that can be divided by four and
            are at least 8.
        channels: Of the output; by default those of the input.
        filters: Channels at full size; doubled at each halving.
        blocks: Residual blocks; by default 9 from 256 pixels on, else 6.
        normalization: `"instance"`, `"batch"` or `None`.
        value_range: Of the output; `None` for values without bounds.
        name: Of the network.

    Returns:
        A model from `[batch, *image_shape]` to `[batch, height, width, channels]`, float32.

    Raises:
        ValueError: If a side cannot be halved twice.

    Example:
        ```python
        from keras_transgen.generative.networks.residual_translator import residual_translator

        network = residual_translator((32, 32, 3), channels=1, filters=4, blocks=1)
        assert network.output_shape == (None, 32, 32, 1)
        ```

    Reference:
        Johnson, Alahi and Fei-Fei, Perceptual losses for real-time style transfer and
        super-resolution, 2016; Zhu et al., Unpaired image-to-image translation using
        cycle-consistent adversarial networks, 2017.
    """
    sides = tuple(image_shape[:2])
    if len(image_shape) != 3 or any(side % 2**_HALVINGS or side < _SMALLEST for side in sides):
        raise ValueError(
            "The residual generator needs images (height, width, channels) whose sides can be "
            f"halved twice and have at least {_SMALLEST} pixels. Resize or pad the images, or hand "
            f"in generators of your own. Received: image_shape={tuple(image_shape)}"
        )
    blocks = (9 if min(sides) >= _LARGE else 6) if blocks is None else blocks
    biased = normalization is None

    def convolved(x: Any, width: int, size: int, strides: int = 1) -> Any:
        if strides == 1:
            x = ReflectionPadding2D(size // 2)(x)
        padding = "valid" if strides == 1 else "same"
        x = keras.layers.Conv2D(width, size, strides=strides, padding=padding, use_bias=biased)(x)
        return normalized(x, normalization)

    image = keras.Input(tuple(image_shape), name="image")
    x = keras.layers.ReLU()(convolved(image, filters, 7))
    for level in range(_HALVINGS):
        x = keras.layers.ReLU()(convolved(x, filters * 2 ** (level + 1), 3, strides=2))
    for _ in range(blocks):
        inner = keras.layers.ReLU()(convolved(x, filters * 2**_HALVINGS, 3))
        x = keras.layers.Add()([x, convolved(inner, filters * 2**_HALVINGS, 3)])
    for level in reversed(range(_HALVINGS)):
        x = keras.layers.Conv2DTranspose(
            filters * 2**level, 3, strides=2, padding="same", use_bias=biased
        )(x)
        x = keras.layers.ReLU()(normalized(x, normalization))
    # Nothing normalises what the last layer makes: as in the paper it begins small, so that the
    # first images are grey and not noise between the ends of the range.
    x = keras.layers.Conv2D(
        channels or image_shape[2],
        7,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
    )(ReflectionPadding2D(3)(x))
    return keras.Model(image, InValueRange(value_range, name="made")(x), name=name)
