"""At which scales a network's layers see an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LARGEST_REDUCTION = 64


def reductions(input_shape: Any, shapes: Mapping[str, Any]) -> dict[str, int]:
    """By how much feature maps are smaller than the image.

    Args:
        input_shape: Shape of the images, `[batch, height, width, channels]`.
        shapes: Shape of each layer's output, by name.

    Returns:
        1, 2, 4, ... by the name of each layer whose output is a feature map of the image's size
        halved that often, a half rounded up. Maps of other sizes, as padding makes them, are left
        out, and so is everything where the sizes are not known.
    """
    if input_shape is None or len(input_shape) != 4 or None in input_shape[1:3]:
        return {}
    sizes: dict[tuple[int, ...], int] = {}
    factor = 1
    while factor <= _LARGEST_REDUCTION:
        sizes.setdefault(tuple(-(-side // factor) for side in input_shape[1:3]), factor)
        factor *= 2
    return {
        name: sizes[tuple(shape[1:3])]
        for name, shape in shapes.items()
        if len(shape) == 4 and tuple(shape[1:3]) in sizes
    }


def layers_by_scale(found: Mapping[str, int], count: int | None = None) -> list[str]:
    """The last layer of each scale, from fine to coarse.

    Args:
        found: What `reductions` returned, from input to output.
        count: How many of the coarsest to take. Defaults to all; layers at the image's own size
            are taken only where there are no others.
    """
    last = {factor: name for name, factor in found.items()}
    scales = sorted(factor for factor in last if factor > 1) or sorted(last)
    if not scales:
        raise ValueError(
            "The network does not say the sizes of its feature maps, or has none: name the layers "
            "to take, layers=[...], as backbone.layer_names() lists them. Received: no layer of a "
            "known size"
        )
    return [last[factor] for factor in scales[-(count or len(scales)) :]]
