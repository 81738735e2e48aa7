"""The feed-forward network that paints an image in a style."""

from __future__ import annotations

from typing import Any

import keras

from keras_transgen.generative.networks.reflection_padding import ReflectionPadding2D
from keras_transgen.generative.networks.style_normalization import ConditionalInstanceNormalization
from keras_transgen.generative.networks.value_range import InValueRange

# The sides of the images must be divisible by it.
STRIDE = 4


def style_network(
    channels: int = 3,
    num_styles: int = 1,
    filters: int = 32,
    blocks: int = 5,
    value_range: tuple[float, float] | None = (-1.0, 1.0),
    name: str = "network",
) -> keras.Model:
    """Two convolutions of stride 2, residual blocks, and two enlargements, for any size of image.

    Enlargement repeats pixels and convolves, since transposed convolutions leave a chequered
    pattern that a loss without a discriminator does not punish.

    Args:
        channels: Of the images.
        num_styles: Styles, each with its own scales and offsets after every convolution.
        filters: Channels at full size; doubled at each halving.
        blocks: Residual blocks.
        value_range: Of the output; `None` for values without bounds.
        name: Of the network.

    Returns:
        A model from `[images [batch, height, width, channels], mixture [batch, num_styles]]`, sides
        divisible by four and at least 8, to images of the same shape, float32.

    Reference:
        Johnson, Alahi and Fei-Fei, Perceptual losses for real-time style transfer and
        super-resolution, 2016; Dumoulin, Shlens and Kudlur, A learned representation for artistic
        style, 2017.
    """
    image = keras.Input((None, None, channels), name="image")
    mixture = keras.Input((num_styles,), name="mixture")

    def convolved(x: Any, width: int, size: int, strides: int = 1) -> Any:
        x = ReflectionPadding2D(size // 2)(x)
        x = keras.layers.Conv2D(width, size, strides=strides, use_bias=False)(x)
        return ConditionalInstanceNormalization(num_styles)([x, mixture])

    x = keras.layers.ReLU()(convolved(image, filters, 9))
    for factor in (2, 4):
        x = keras.layers.ReLU()(convolved(x, factor * filters, 3, strides=2))
    for _ in range(blocks):
        inner = keras.layers.ReLU()(convolved(x, 4 * filters, 3))
        x = keras.layers.Add()([x, convolved(inner, 4 * filters, 3)])
    for factor in (2, 1):
        x = keras.layers.UpSampling2D(interpolation="nearest")(x)
        x = keras.layers.ReLU()(convolved(x, factor * filters, 3))
    # Nothing normalises what the last layer makes: it begins small, so that the first images are
    # grey and not noise between the ends of the range.
    small = keras.initializers.RandomNormal(stddev=0.02)
    x = keras.layers.Conv2D(channels, 9, kernel_initializer=small)(ReflectionPadding2D(4)(x))
    return keras.Model([image, mixture], InValueRange(value_range, name="made")(x), name=name)
