"""Images side by side in one image."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_WHITE = 1.0
# Not a colour of photographs or of grey digits: a diverged model is seen at once.
_NOT_A_NUMBER = (1.0, 0.0, 1.0)


def image_mosaic(
    images: Any,
    *,
    columns: int | None = None,
    value_range: tuple[float, float] = (0.0, 1.0),
    gap: int | None = None,
) -> np.ndarray:
    """Images in rows, with white gaps, as one colour image.

    Args:
        images: `[count, height, width, channels]` with 1 or 3 channels, filled row by row, or
            `[rows, columns, height, width, channels]`.
        columns: Images per row; defaults to a square.
        value_range: `(low, high)` of float images, shown black and white; values outside are
            clipped. Integer images are 0 to 255.
        gap: Pixels between images; defaults to a sixteenth of an image, at least 1.

    Returns:
        float32 `[height, width, 3]` in [0, 1]. Pixels that are not numbers are magenta.

    Raises:
        ValueError: If images have another shape or are none, or an argument is out of range.

    Example:
        ```python
        import numpy as np
        from keras_transgen.plotting import image_mosaic

        assert image_mosaic(np.zeros((6, 8, 8, 1)), columns=3).shape == (17, 26, 3)
        ```
    """
    tiles = as_tiles(images, columns, value_range)
    rows, columns, height, width, _ = tiles.shape
    gap = max(1, min(height, width) // 16) if gap is None else gap
    if gap < 0:
        raise ValueError(f"Expected a gap of at least 0 pixels. Received: gap={gap}")
    framed = np.full((rows, columns, height + gap, width + gap, 3), _WHITE, dtype=np.float32)
    framed[:, :, :height, :width] = tiles
    whole = framed.transpose(0, 2, 1, 3, 4).reshape(rows * (height + gap), -1, 3)
    return whole[: len(whole) - gap, : whole.shape[1] - gap]


def as_tiles(images: Any, columns: int | None, value_range: tuple[float, float]) -> np.ndarray:
    """Images, as `image_mosaic` takes them, as float32 `[rows, columns, height, width, 3]`.

    Places without an image are white.
    """
    values = np.asarray(images)
    if values.ndim not in (4, 5) or values.shape[-1] not in (1, 3) or 0 in values.shape:
        raise ValueError(
            "Expected images [count, height, width, channels] with 1 or 3 channels, at least one. "
            f"Received: shape {values.shape}"
        )
    if columns is not None and columns < 1:
        raise ValueError(f"Expected columns of at least 1. Received: columns={columns}")
    values = in_colour(values, value_range)
    if values.ndim == 5:
        return values
    columns = columns or math.ceil(math.sqrt(len(values)))
    rows = math.ceil(len(values) / columns)
    tiles = np.full((rows * columns, *values.shape[1:]), _WHITE, dtype=np.float32)
    tiles[: len(values)] = values
    return tiles.reshape(rows, columns, *values.shape[1:])


def in_colour(images: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    """Images `[..., 1 or 3]` as float32 `[..., 3]` in [0, 1]; what is no number is magenta."""
    low, high = (0.0, 255.0) if images.dtype.kind in "iu" else value_range
    if not low < high:
        raise ValueError(
            f"Expected value_range as (low, high), low below high. Received: {value_range}"
        )
    scaled = np.clip((images.astype(np.float32) - low) / (high - low), 0.0, 1.0)
    colour = np.broadcast_to(scaled, (*scaled.shape[:-1], 3)).copy()
    colour[np.isnan(colour).any(axis=-1)] = _NOT_A_NUMBER
    return colour
