"""An encoder and a decoder with a bridge at every size, from images to images."""

from __future__ import annotations

from typing import Any

import keras

from keras_transgen.generative.networks.normalization import normalized
from keras_transgen.generative.networks.value_range import InValueRange

_SMALLEST = 2
_WIDEST = 8
_NOISY_LEVELS = 3


def unet_levels(image_shape: tuple[int, ...]) -> int:
    """How often an image is halved: down to two pixels or an odd size, and once at least."""
    height, width = image_shape[:2] if len(image_shape) == 3 else (1, 1)
    levels = 0
    while height % 2 == 0 and width % 2 == 0 and min(height, width) > _SMALLEST:
        height, width, levels = height // 2, width // 2, levels + 1
    if not levels:
        raise ValueError(
            "A U-Net needs images (height, width, channels) whose sides can be halved at least "
            "once, such as 28, 64, 96, 128 or 256; each halving more lets it see further. Resize "
            "or pad the images, or hand in generator= of your own. "
            f"Received: image_shape={tuple(image_shape)}"
        )
    return levels


def enlargement(image_shape: tuple[int, ...], target_shape: tuple[int, ...]) -> int:
    """How many times larger than its input a translated image is, a whole number."""
    (height, width), (tall, wide) = image_shape[:2], target_shape[:2]
    factor = tall // height
    if factor < 1 or (height * factor, width * factor) != (tall, wide):
        raise ValueError(
            "The built-in networks make images as large as their input, or a whole number of times "
            "larger. Resize one of the two, or hand in generator= and discriminator= of your own. "
            f"Received: image_shape={tuple(image_shape)}, target_shape={tuple(target_shape)}"
        )
    return factor


def unet_generator(
    image_shape: tuple[int, ...] = (256, 256, 3),
    target_shape: tuple[int, ...] | None = None,
    filters: int = 64,
    normalization: str | None = "instance",
    noise: bool = True,
    value_range: tuple[float, float] | None = (-1.0, 1.0),
) -> keras.Model:
    """A generator that halves the image as often as it can and doubles it again, with bridges.

    The noise comes in as further inputs, masks by which the deepest maps are multiplied: they are
    drawn outside of the network, so that equal seeds give equal images whether XLA compiles it or
    not. A mask of ones is no noise.

    Args:
        image_shape: `(height, width, channels)` of the input; see `unet_levels` for the sizes.
        target_shape: The same of the output; larger by a whole number or equal, as by default.
        filters: Channels at half the size; doubled at each halving, up to eight times.
        normalization: `"instance"`, `"batch"` or `None`.
        noise: Whether the network takes dropout masks at its three deepest levels.
        value_range: Of the output; `None` for values without bounds.

    Returns:
        A model from `[batch, *image_shape]`, or a list of it and the masks, to
        `[batch, *target_shape]`, float32.

    Raises:
        ValueError: If a size cannot be halved, or the sizes do not fit together.

    Example:
        ```python
        from keras_transgen.generative.networks.unet import unet_generator

        network = unet_generator((32, 32, 1), (32, 32, 3), filters=4)
        image, *masks = network.inputs
        assert [mask.shape[1:] for mask in masks] == [(4, 4, 16), (8, 8, 8), (16, 16, 4)]
        ```

    Reference:
        Ronneberger, Fischer and Brox, U-Net, 2015; Isola et al., Image-to-image translation with
        conditional adversarial networks, 2017.
    """
    target_shape = tuple(target_shape or image_shape)
    factor = enlargement(image_shape, target_shape)
    levels = unet_levels(target_shape)
    widths = [filters * min(2**level, _WIDEST) for level in range(levels)]
    image = keras.Input(tuple(image_shape), name="image")
    x = image
    if factor > 1:
        x = keras.layers.UpSampling2D(factor, interpolation="bilinear")(x)

    bridges: list[Any] = []
    for level, width in enumerate(widths):
        # The outermost map holds the image's own brightness, the innermost too few values.
        kind = normalization if 0 < level < levels - 1 else None
        x = keras.layers.Conv2D(width, 4, strides=2, padding="same", use_bias=kind is None)(x)
        x = normalized(x, kind)
        bridges.append(x)
        if level < levels - 1:
            x = keras.layers.LeakyReLU(0.2)(x)

    masks: list[Any] = []
    for level in reversed(range(levels - 1)):
        x = keras.layers.ReLU()(x)
        x = keras.layers.Conv2DTranspose(
            widths[level], 4, strides=2, padding="same", use_bias=normalization is None
        )(x)
        x = normalized(x, normalization)
        if noise and len(masks) < _NOISY_LEVELS:
            masks.append(keras.Input(tuple(x.shape[1:]), name=f"mask_{len(masks)}"))
            x = keras.layers.Multiply()([x, masks[-1]])
        x = keras.layers.Concatenate()([x, bridges[level]])
    x = keras.layers.ReLU()(x)
    x = keras.layers.Conv2DTranspose(target_shape[2], 4, strides=2, padding="same")(x)
    x = InValueRange(value_range, name="made")(x)
    return keras.Model([image, *masks] if masks else image, x, name="generator")
