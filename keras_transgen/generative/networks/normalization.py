"""Normalization layers by name."""

from __future__ import annotations

from typing import Any

import keras

_EPSILON = 1e-5


def normalized(x: Any, normalization: str | None) -> Any:
    """A feature map, normalised: `"instance"` (over each image's pixels), `"batch"` or `None`.

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
