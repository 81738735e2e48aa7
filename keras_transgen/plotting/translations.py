"""Images and what a model made of them, column by column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transgen.plotting.appearance import new_figure
from keras_transgen.plotting.mosaic import in_colour
from keras_transgen.plotting.sample_grid import draw_mosaic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_INCHES_PER_IMAGE = 1.1


def plot_translations(
    rows: Mapping[str, Any],
    *,
    value_range: tuple[float, float] = (0.0, 1.0),
    title: str | None = None,
) -> Figure:
    """A row for each kind of image, a column for each example.

    Args:
        rows: From a row's name, such as `"input"`, `"made"`, `"target"`, to images `[count, height,
            width, channels]` with 1 or 3 channels. Smaller images are shown enlarged, by a whole
            number of times.
        value_range: `(low, high)` of float images; integer images are 0 to 255.
        title: Of the figure.

    Returns:
        A Matplotlib figure.

    Raises:
        ValueError: If there are no images, or the rows differ in their number.

    Example:
        ```python
        import numpy as np
        from keras_transgen.plotting.translations import plot_translations

        images = np.random.default_rng(0).uniform(size=(4, 8, 8, 1))
        figure = plot_translations({"input": images[:, ::2, ::2], "made": images})
        ```
    """
    values = {name: np.asarray(images) for name, images in rows.items()}
    shapes = {name: images.shape for name, images in values.items()}
    if not values or any(
        len(shape) != 4 or shape[-1] not in (1, 3) or 0 in shape for shape in shapes.values()
    ):
        raise ValueError(
            "Expected rows of images [count, height, width, channels] with 1 or 3 channels, at "
            f"least one. Received: {shapes}"
        )
    if len({shape[0] for shape in shapes.values()}) > 1:
        raise ValueError(f"Expected as many images in every row. Received: {shapes}")
    height = max(shape[1] for shape in shapes.values())
    width = max(shape[2] for shape in shapes.values())
    tiles = np.stack(
        [_enlarged(in_colour(images, value_range), height, width) for images in values.values()]
    )
    count = tiles.shape[1]
    scale = _INCHES_PER_IMAGE * min(1.5, max(0.6, 8.0 / count))
    figure = new_figure(
        scale * count + 0.4 + 0.08 * max(map(len, values)),
        scale * len(values) * height / width + (0.5 if title else 0.2),
        title,
    )
    draw_mosaic(figure.subplots(), tiles, row_names=list(values))
    return figure


def _enlarged(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """Repeat pixels by a whole number of times, and frame in white what is still smaller."""
    factor = min(height // images.shape[1], width // images.shape[2])
    images = images.repeat(factor, axis=1).repeat(factor, axis=2)
    down, right = height - images.shape[1], width - images.shape[2]
    before = (down // 2, right // 2)
    return np.pad(
        images,
        [(0, 0), (before[0], down - before[0]), (before[1], right - before[1]), (0, 0)],
        constant_values=1.0,
    )
