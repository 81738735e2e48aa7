"""Keras' masks: which positions of a batch of sequences are no padding.

Keras keeps the mask of a tensor in an attribute of it, `_keras_mask`, for which it has no public
name; a tensor that is cast or copied loses it. `tests/backbones/test_padding_mask.py` tells when
this changes.
"""

from __future__ import annotations

from typing import Any

import keras

_ATTRIBUTE = "_keras_mask"


def mask_of(tensor: Any) -> Any:
    """The mask of a tensor, bool `[batch, length]`, or `None`."""
    return getattr(tensor, _ATTRIBUTE, None)


def with_mask(tensor: Any, mask: Any) -> Any:
    """The tensor with a mask, where there is one.

    Args:
        tensor: A tensor `[batch, length, ...]`.
        mask: Bool `[batch, length]`, or `None`.
    """
    if mask is not None:
        setattr(tensor, _ATTRIBUTE, mask)
    return tensor


def fits(mask: Any, tensor: Any) -> bool:
    """Whether a mask is one of a tensor's positions: both have a batch and one length."""
    return mask is not None and len(mask.shape) == 2 and len(tensor.shape) == 3


def masked_mean(tensor: Any, mask: Any) -> Any:
    """Mean over the positions that count, `[batch, size]`; zero where none does.

    Args:
        tensor: `[batch, length, size]`.
        mask: Bool `[batch, length]`.
    """
    weights = keras.ops.cast(mask, tensor.dtype)[..., None]
    count = keras.ops.maximum(keras.ops.sum(weights, axis=1), 1.0)
    # What padding holds may be no number.
    kept = keras.ops.where(mask[..., None], tensor, keras.ops.zeros_like(tensor))
    return keras.ops.sum(kept, axis=1) / count


def masked_max(tensor: Any, mask: Any) -> Any:
    """Largest value over the positions that count, `[batch, size]`; zero where none does.

    Args:
        tensor: `[batch, length, size]`.
        mask: Bool `[batch, length]`.
    """
    least = keras.ops.cast(-float("inf"), tensor.dtype)
    largest = keras.ops.max(keras.ops.where(mask[..., None], tensor, least), axis=1)
    return keras.ops.where(keras.ops.any(mask, axis=1)[:, None], largest, 0.0)


def masked_centre(tensor: Any, mask: Any) -> Any:
    """The middle one of the positions that count, the earlier of two, `[batch, size]`.

    Args:
        tensor: `[batch, length, size]`.
        mask: Bool `[batch, length]`.
    """
    order = keras.ops.cumsum(keras.ops.cast(mask, "int32"), axis=1)
    middle = (order[:, -1:] + 1) // 2
    is_middle = keras.ops.logical_and(mask, keras.ops.equal(order, middle))
    return masked_mean(tensor, is_middle)
