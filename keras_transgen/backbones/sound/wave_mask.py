"""What lies behind the end of a recording is silence, whatever was done to the recording."""

from __future__ import annotations

from typing import Any

from keras import ops


def silent_where_masked(waves: Any, mask: Any) -> Any:
    """Waves with zeros where the mask says that nothing counts.

    Args:
        waves: `[batch, samples]`.
        mask: Bool of that shape, or `None`: everything counts.
    """
    if mask is None:
        return waves
    return ops.where(mask, waves, ops.zeros_like(waves))


def sums_that_count(values: Any, mask: Any) -> tuple[Any, Any]:
    """The sum over the positions that count and their number, `[batch, 1]` each.

    Args:
        values: `[batch, length]`.
        mask: Bool of that shape, or `None`.
    """
    weights = ops.ones_like(values) if mask is None else ops.cast(mask, values.dtype)
    count = ops.maximum(ops.sum(weights, axis=1, keepdims=True), 1.0)
    return ops.sum(values * weights, axis=1, keepdims=True), count
