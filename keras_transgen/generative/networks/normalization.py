"""Normalization layers by name."""

from __future__ import annotations

from typing import Any

import keras

_EPSILON = 1e-5


def normalized(x: Any, normalization: str | None) -> Any:
    """A feature map, normalised.

    Args:
        x: Symbolic `[batch, height, width, channels]`.
        normalization: `"instance"` (over the pixels of each image), `"batch"` or `None`.

    Returns:
        A tensor of the same shape.

    Raises:
        ValueError: If the name is unknown.

    Reference:
        Ulyanov, Vedaldi and Lempitsky, Instance normalization: the missing ingredient for fast
        stylization, 2016.
    """
    if normalization is None:
        return x
    if normalization == "instance":
        return keras.layers.GroupNormalization(groups=-1, epsilon=_EPSILON)(x)
    if normalization == "batch":
        return keras.layers.BatchNormalization(momentum=0.9, epsilon=_EPSILON)(x)
    raise ValueError(
        "normalization must be 'instance', 'batch' or None. "
        f"Received: normalization={normalization!r}"
    )
