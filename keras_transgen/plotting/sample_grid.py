"""A grid of samples, by class if wanted, and with real images beside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transgen.plotting.appearance import TEXT, class_name, new_figure
from keras_transgen.plotting.mosaic import as_tiles, image_mosaic, in_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INCHES_PER_IMAGE = 0.62
_MOST_PER_CLASS = 10


def plot_sample_grid(
    images: Any,
    *,
    labels: Any = None,
    class_names: Sequence[str] | None = None,
    real: Any = None,
    real_labels: Any = None,
    columns: int | None = None,
    value_range: tuple[float, float] = (0.0, 1.0),
    title: str | None = None,
) -> Figure:
    """Samples in a grid; with `labels` a row per class; with `real`, real images to the left.

    Where there are both, each side bears its name: "real" at the left, "generated" at the right.

    Args:
        images: Samples `[count, height, width, channels]` with 1 or 3 channels.
        labels: Their classes, integers `[count]`: each class gets a row, in the images' order.
        class_names: Names of the classes; defaults to their numbers.
        real: Real images to show beside, in the same value range.
        real_labels: Their classes; needed if `labels` is given.
        columns: Images per row. Defaults to a square, or to at most 10 per class.
        value_range: `(low, high)` of float images. Defaults to `(0.0, 1.0)`; integer images are 0
            to 255.
        title: Of the figure.

    Returns:
        A Matplotlib figure.

    Raises:
        ValueError: If images have a wrong shape or labels do not fit them.

    Example:
        ```python
        from keras_transgen.datasets import load_digits
        from keras_transgen.plotting import plot_sample_grid

        images, labels = load_digits()
        figure = plot_sample_grid(images[:100], labels=labels[:100])
        ```
    """
    if real is not None and (labels is None) != (real_labels is None):
        raise ValueError(
            "Expected labels for both, the samples and the real images, or for neither. "
            f"Received: labels={'given' if labels is not None else None}, "
            f"real_labels={'given' if real_labels is not None else None}"
        )
    panels = [("generated" if real is not None else "", images, labels)]
    if real is not None:
        panels.insert(0, ("real", real, real_labels))
    if labels is None:
        names = None
        tiles = [as_tiles(values, columns, value_range) for _, values, _ in panels]
    else:
        sets = [_checked(values, classes) for _, values, classes in panels]
        shown = np.unique(np.concatenate([classes for _, classes in sets]))
        names = [class_name(int(number), class_names) for number in shown]
        width = columns or min(
            _MOST_PER_CLASS, max(int(np.unique(c, return_counts=True)[1].max()) for _, c in sets)
        )
        tiles = [_row_per_class(v, c, shown, width, value_range) for v, c in sets]
    return _figure([name for name, *_ in panels], tiles, names, title)


def _checked(images: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    values, classes = np.asarray(images), np.asarray(labels)
    if values.ndim != 4 or values.shape[-1] not in (1, 3):
        raise ValueError(
            "Expected images [count, height, width, channels] with 1 or 3 channels. "
            f"Received: shape {values.shape}"
        )
    if classes.shape != (len(values),) or classes.dtype.kind not in "iu" or not len(classes):
        raise ValueError(
            "Expected an integer label for every image. "
            f"Received: labels of shape {classes.shape} ({classes.dtype}) for {len(values)} images"
        )
    return values, classes


def _row_per_class(
    images: np.ndarray,
    labels: np.ndarray,
    shown: np.ndarray,
    columns: int,
    value_range: tuple[float, float],
) -> np.ndarray:
    colour = in_colour(images, value_range)
    tiles = np.ones((len(shown), columns, *colour.shape[1:]), dtype=np.float32)
    for row, number in enumerate(shown):
        members = colour[labels == number][:columns]
        tiles[row, : len(members)] = members
    return tiles


def _figure(
    headings: list[str], tiles: list[np.ndarray], names: list[str] | None, title: str | None
) -> Figure:
    rows = max(each.shape[0] for each in tiles)
    columns = [each.shape[1] for each in tiles]
    # Few images are shown larger, many smaller, so that the figure stays a page.
    scale = _INCHES_PER_IMAGE * min(2.0, max(0.6, 8.0 / max(rows, sum(columns))))
    margin = 0.4 + (0.08 * max(map(len, names)) if names else 0.0)
    extra = (0.4 if title else 0.1) + (0.3 if any(headings) else 0.0)
    figure = new_figure(scale * sum(columns) + margin * len(tiles), scale * rows + extra, title)
    panels = figure.subplots(1, len(tiles), squeeze=False, width_ratios=columns)[0]
    for axes, heading, each in zip(panels, headings, tiles):
        draw_mosaic(axes, each, row_names=names)
        if heading:
            axes.set_title(heading, color=TEXT, fontsize=11, fontweight="bold")
    return figure


def draw_mosaic(
    axes: Axes,
    tiles: np.ndarray,
    row_names: Sequence[str] | None = None,
    column_names: Sequence[str] | None = None,
) -> None:
    """Draw tiles, as of `as_tiles`, with names of rows at the left and of columns on top."""
    rows, columns, height, width, _ = tiles.shape
    gap = max(1, min(height, width) // 16)
    axes.imshow(image_mosaic(tiles, gap=gap))
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelcolor=TEXT, labelsize=9)
    axes.xaxis.tick_top()
    axes.set_xticks([])
    axes.set_yticks([])
    if row_names is not None:
        axes.set_yticks(np.arange(rows) * (height + gap) + (height - 1) / 2, row_names)
    if column_names is not None:
        axes.set_xticks(np.arange(columns) * (width + gap) + (width - 1) / 2, column_names)
