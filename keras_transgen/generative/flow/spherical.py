"""Lines between vectors of noise that stay as long as noise is."""

from __future__ import annotations

import numpy as np

_STRAIGHT = 1e-4


def spherical_line(start: np.ndarray, end: np.ndarray, points: int) -> np.ndarray:
    """Points on the arc from one vector to another; on a straight line all would be too short.

        p(s) = sin((1 - s) w) / sin(w) start + sin(s w) / sin(w) end,  w the angle between the two

    Args:
        start: `[count, ...]`.
        end: Of the same shape.
        points: How many, both ends included.

    Returns:
        Float32 `[count, points, ...]`.

    Reference:
        Shoemake, Animating rotation with quaternion curves, 1985; White, Sampling generative
        networks, 2016.
    """
    one = start.reshape(len(start), 1, -1).astype("float64")
    other = end.reshape(len(end), 1, -1).astype("float64")
    lengths = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    cosine = np.sum(one * other, axis=-1) / np.maximum(lengths, np.finfo("float64").tiny)
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))[..., None]
    share = np.linspace(0.0, 1.0, points)[None, :, None]
    # Where both point the same or opposite ways there is no arc, or no one arc: a straight line.
    bent = np.sin(angle) > _STRAIGHT
    sine = np.where(bent, np.sin(angle), 1.0)
    first = np.where(bent, np.sin((1.0 - share) * angle) / sine, 1.0 - share)
    second = np.where(bent, np.sin(share * angle) / sine, share)
    line = first * one + second * other
    return line.reshape(len(start), points, *start.shape[1:]).astype("float32")
