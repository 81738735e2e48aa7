"""The points of an image that a detector's head speaks of: the cells' centres on each scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Points(NamedTuple):
    """The points of all scales, from fine to coarse, row by row.

    Attributes:
        places: float32 `[points, 2]`, x and y in pixels.
        strides: float32 `[points]`, the distance of neighbours in pixels.
        smallest: float32 `[points]`: boxes whose mean side is larger in pixels belong to the point.
        largest: float32 `[points]`: and those up to this one.
    """

    places: np.ndarray
    strides: np.ndarray
    smallest: np.ndarray
    largest: np.ndarray


# Boxes of up to so many strides belong to a scale, as in FCOS.
_SIDES = 8.0


def grid_points(image_size: int, sizes: Sequence[tuple[int, int]]) -> Points:
    """The cells' centres of feature maps over a square image, and which boxes belong to each.

    A scale of stride `s` takes boxes of a mean side (the root of the area) up to `8 s`, from where
    the next finer one ends; the finest takes all smaller ones, the coarsest all larger ones.

    Args:
        image_size: Height and width of the image in pixels.
        sizes: Height and width of each scale's map, from fine to coarse.

    Example:
        ```python
        from keras_transgen.transfer.detection.points import grid_points

        points = grid_points(16, [(2, 2), (1, 1)])
        assert points.places.tolist() == [[4, 4], [12, 4], [4, 12], [12, 12], [8, 8]]
        assert points.strides.tolist() == [8, 8, 8, 8, 16]
        ```

    Reference:
        Tian, Shen, Chen and He, FCOS: Fully convolutional one-stage object detection, 2019.
    """
    places, strides, smallest, largest = [], [], [], []
    end = 0.0
    for scale, (height, width) in enumerate(sizes):
        across, down = image_size / width, image_size / height
        x, y = np.meshgrid((np.arange(width) + 0.5) * across, (np.arange(height) + 0.5) * down)
        places.append(np.stack([x, y], axis=-1).reshape(-1, 2))
        count = height * width
        start, end = end, _SIDES * max(across, down)
        if scale == len(sizes) - 1:
            end = np.inf
        strides.append(np.full(count, max(across, down)))
        smallest.append(np.full(count, start))
        largest.append(np.full(count, end))
    parts = [np.concatenate(each).astype("float32") for each in (strides, smallest, largest)]
    return Points(np.concatenate(places).astype("float32"), *parts)
