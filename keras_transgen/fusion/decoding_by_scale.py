"""A decoder that grows through the sizes of a pretrained network's feature maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

_NARROWEST = 16


def scale_decoder(
    latent_dim: int,
    output_shape: Sequence[int],
    feature_shapes: Sequence[Sequence[int]],
    widest: int = 128,
    activation: Any = "relu",
) -> keras.Sequential:
    """A network from latent vectors to a likelihood's parameters, the way back from a backbone.

    It starts at the size of the coarsest feature map and goes through the sizes of the finer ones
    to that of the image: at each it enlarges and convolves, with as many channels as the backbone
    has there, at most `widest` at the coarsest and half of the bound at each one after, down to 16.
    Sizes need not be halves of each other.

    Args:
        latent_dim: Number of latent units.
        output_shape: `(height, width, parameters)` of one image.
        feature_shapes: `(height, width, channels)` of the backbone's feature maps, such as
            `PretrainedEncoder.feature_shapes`. Those that are not smaller than the image are left
            out; if none is left, it starts at a quarter of the image's sides.
        widest: See above. Defaults to 128.
        activation: Keras activation of the hidden layers. Defaults to `"relu"`.

    Returns:
        A built network `[batch, latent_dim]` to `[batch, *output_shape]`, float32.

    Raises:
        ValueError: The shapes are none of images.

    Example:
        ```python
        from keras_transgen.fusion import scale_decoder

        decoder = scale_decoder(8, (28, 28, 1), [(16, 16, 24), (8, 8, 40), (4, 4, 96)])
        assert decoder.output_shape == (None, 28, 28, 1)
        ```
    """
    shapes = [tuple(shape) for shape in feature_shapes]
    if len(output_shape) != 3 or latent_dim < 1 or any(len(shape) != 3 for shape in shapes):
        raise ValueError(
            "output_shape and each of feature_shapes must be (height, width, channels), and "
            f"latent_dim at least 1. Received: output_shape={tuple(output_shape)}, "
            f"feature_shapes={shapes}, latent_dim={latent_dim}"
        )
    height, width, parameters = output_shape
    levels = _smaller(shapes, height, width)
    (rows, columns, _), *finer = levels
    widths = [
        min(depth, max(widest // 2**level, _NARROWEST)) for level, (*_, depth) in enumerate(levels)
    ]
    layers: list[Any] = [
        keras.Input((latent_dim,)),
        keras.layers.Dense(rows * columns * widths[0], activation=activation),
        keras.layers.Reshape((rows, columns, widths[0])),
    ]

    def convolved(filters: int) -> keras.layers.Layer:
        return keras.layers.Conv2D(filters, 3, padding="same", activation=activation)

    layers.append(convolved(widths[0]))
    size = (rows, columns)
    for (*finer_size, _), filters in zip(finer, widths[1:], strict=True):
        layers += [enlarging(size, finer_size), convolved(filters)]
        size = (finer_size[0], finer_size[1])
    layers += [
        enlarging(size, (height, width)),
        convolved(max(widths[-1] // 2, _NARROWEST)),
        keras.layers.Conv2D(parameters, 3, padding="same", dtype="float32"),
    ]
    return keras.Sequential(layers, name="decoder")


def _smaller(shapes: Sequence[tuple], height: int, width: int) -> list[tuple]:
    """Feature maps smaller than the image, one of each size, from coarse to fine."""
    by_size = {
        (rows, columns): (rows, columns, depth)
        for rows, columns, depth in shapes
        if rows < height and columns < width
    }
    quarter = (math.ceil(height / 4), math.ceil(width / 4), max(each[-1] for each in shapes))
    return [by_size[size] for size in sorted(by_size)] or [quarter]


def enlarging(size: Sequence[int], target: Sequence[int]) -> keras.layers.Layer:
    """A layer from maps of one `(height, width)` to another.

    Whole factors repeat pixels; others interpolate linearly, since TensorFlow's nearest pixels have
    no gradient under XLA.
    """
    factors = [after // before for before, after in zip(size, target, strict=True)]
    whole = all(before * factor == after for before, factor, after in zip(size, factors, target))
    if whole:
        return keras.layers.UpSampling2D(factors)
    return keras.layers.Resizing(*target, interpolation="bilinear")
