"""What labels of examples must be."""

from __future__ import annotations

from typing import Any

import numpy as np


def checked_classes(x: Any, y: Any) -> np.ndarray:
    """Labels of examples as int64 `[count]`, refused where there is no integer for each example."""
    labels = np.asarray(y)
    whole = labels.dtype.kind in "iu" and labels.shape == (len(x),) and len(labels) > 0
    if not whole or labels.min() < 0:
        received = f"y of shape {labels.shape} and type {labels.dtype}"
        raise ValueError(
            "Expected a class, an integer from 0 up, for each example: y of shape [count]. "
            f"Received: {len(x)} examples, {received}"
            + (f", the least of them {labels.min()}" if whole else "")
        )
    return labels.astype("int64")
