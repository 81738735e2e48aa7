"""Rotary positions: queries and keys turned by angles, so that scores depend on distances."""

from __future__ import annotations

from typing import Any

from keras import ops

_BASE = 10_000.0


def rotation(positions: Any, size: int) -> tuple[Any, Any]:
    """Cosines and sines of the angles at positions.

    Args:
        positions: Ints `[batch or 1, length]`.
        size: Of a head, even.

    Returns:
        Two float32 tensors `[batch or 1, 1, length, size / 2]`.

    Reference:
        Su et al., "RoFormer: Enhanced Transformer with rotary position embedding", 2021.
    """
    frequencies = _BASE ** (-ops.arange(0, size, 2, dtype="float32") / size)
    angles = ops.cast(positions, "float32")[:, None, :, None] * frequencies
    return ops.cos(angles), ops.sin(angles)


def rotated(x: Any, turn: tuple[Any, Any]) -> Any:
    """Queries or keys, turned.

    Args:
        x: `[batch, heads, length, size]`.
        turn: What `rotation` gave.
    """
    cosine, sine = (ops.cast(each, x.dtype) for each in turn)
    first, second = ops.split(x, 2, axis=-1)
    return ops.concatenate(
        [first * cosine - second * sine, first * sine + second * cosine], axis=-1
    )
