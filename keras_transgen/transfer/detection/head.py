"""The network that a detector learns: what and where at every point of the tapped scales."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

_GROUPS = 8
# Of every class, so that the many points of no object do not count for all at first.
_FIRST_PROBABILITY = 0.01


def detection_head(
    shapes: Sequence[tuple[int, int, int]],
    num_classes: int,
    width: int = 96,
    depth: int = 2,
    centreness: bool = False,
    name: str = "head",
) -> keras.Model:
    """Feature maps at several scales to classes and boxes of each of their points.

    Each scale is brought to `width` by a 1x1 convolution, and has that of the next coarser one
    added to it. Two towers of separable convolutions, one for classes and one for boxes, are shared
    by all scales, but for the normalisation, which each scale has of its own.

    Args:
        shapes: `(height, width, channels)` of each scale, from fine to coarse.
        num_classes: Number of classes.
        width: Channels of the head. Defaults to 96.
        depth: Convolutions of each tower. Defaults to 2.
        centreness: Whether each point also says how near it is to the middle of its object.
        name: Of the model.

    Returns:
        A model from a list of maps to float32 `[batch, points, num_classes + 4]`, or 5 with
        `centreness`: logits of the classes, logarithms of the distances to the left, top, right and
        bottom edge in units of two strides, and the logit of the centre-ness. Points are as in
        `grid_points`.

    Example:
        ```python
        import numpy as np
        from keras_transgen.transfer.detection.head import detection_head

        head = detection_head([(4, 4, 3), (2, 2, 5)], num_classes=2, width=8)
        maps = [np.zeros((1, 4, 4, 3), "float32"), np.zeros((1, 2, 2, 5), "float32")]
        assert head(maps).shape == (1, 20, 6)
        ```

    Reference:
        Tian, Shen, Chen and He, FCOS, 2019; Lin et al., Feature pyramid networks for object
        detection, 2017; Howard et al., MobileNets, 2017 (separable convolutions).
    """
    inputs = [keras.Input(shape, name=f"scale_{place}") for place, shape in enumerate(shapes)]
    maps = _pyramid(inputs, width)
    classes = _tower(maps, width, depth, "classes")
    boxes = _tower(maps, width, depth, "boxes")
    first = keras.initializers.Constant(-math.log(1.0 / _FIRST_PROBABILITY - 1.0))
    outputs = {
        "class_logits": (classes, num_classes, first),
        "distances": (boxes, 4, "zeros"),
    }
    if centreness:
        outputs["centreness"] = (boxes, 1, "zeros")
    parts = []
    for output, (tower, channels, bias) in outputs.items():
        # Float32, since logits and distances must not be rounded.
        layer = keras.layers.Conv2D(
            channels, 3, padding="same", bias_initializer=bias, dtype="float32", name=output
        )
        rows = [keras.layers.Reshape((-1, channels), dtype="float32")(layer(x)) for x in tower]
        parts.append(_joined(rows, 1))
    return keras.Model(inputs, _joined(parts, -1), name=name)


def _joined(parts: list[Any], axis: int) -> Any:
    return parts[0] if len(parts) == 1 else keras.layers.Concatenate(axis, dtype="float32")(parts)


def _pyramid(maps: Sequence[Any], width: int) -> list[Any]:
    made: list[Any] = []
    for place in reversed(range(len(maps))):
        x = keras.layers.Conv2D(width, 1, name=f"lateral_{place}")(maps[place])
        if made:
            x = keras.layers.Add()([x, _enlarged(made[0], x.shape[1:3])])
        made.insert(0, x)
    return made


def _enlarged(x: Any, size: tuple[int, int]) -> Any:
    """A map repeated to another one's size; XLA has no gradient of resizing to the nearest."""
    factors = [-(-side // own) for side, own in zip(size, x.shape[1:3])]
    x = keras.layers.UpSampling2D(factors)(x)
    beyond = [(0, own - side) for side, own in zip(size, x.shape[1:3])]
    return keras.layers.Cropping2D(beyond)(x) if any(right for _, right in beyond) else x


def _tower(maps: Sequence[Any], width: int, depth: int, name: str) -> list[Any]:
    groups = math.gcd(_GROUPS, width)
    for step in range(depth):
        convolution = keras.layers.SeparableConv2D(
            width, 3, padding="same", use_bias=False, name=f"{name}_convolution_{step}"
        )
        maps = [
            keras.layers.Activation("swish")(
                keras.layers.GroupNormalization(groups, name=f"{name}_scale_{place}_norm_{step}")(
                    convolution(x)
                )
            )
            for place, x in enumerate(maps)
        ]
    return list(maps)
