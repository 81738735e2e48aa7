"""What each latent unit does: one row per unit, one column per value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transgen.plotting.appearance import TEXT, new_figure
from keras_transgen.plotting.mosaic import as_tiles
from keras_transgen.plotting.sample_grid import draw_mosaic

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_traversal(
    images: Any,
    values: Sequence[float] | None = None,
    *,
    unit_names: Sequence[str] | None = None,
    value_range: tuple[float, float] = (0.0, 1.0),
    title: str | None = None,
) -> Figure:
    """Images decoded while one latent unit moves and the others rest.

    Args:
        images: `[units, steps, height, width, channels]` with 1 or 3 channels.
        values: Value of the moving unit at each step, in standard deviations of the prior.
        unit_names: One per row; defaults to `"unit 0"` and so on.
        value_range: `(low, high)` of float images. Defaults to `(0.0, 1.0)`.
        title: Defaults to `"Latent traversal"`.

    Returns:
        A Matplotlib figure.

    Raises:
        ValueError: If images have a wrong shape, or values or names do not fit them.

    Example:
        ```python
        import numpy as np
        from keras_transgen.plotting import plot_traversal

        images = np.random.default_rng(0).uniform(size=(3, 5, 8, 8, 1))
        figure = plot_traversal(images, values=[-2, -1, 0, 1, 2])
        ```
    """
    shape = np.shape(images)
    if len(shape) != 5:
        raise ValueError(
            f"Expected images [units, steps, height, width, channels]. Received: shape {shape}"
        )
    for given, expected, what in ((values, shape[1], "values"), (unit_names, shape[0], "names")):
        if given is not None and len(given) != expected:
            raise ValueError(
                f"Expected {expected} {what} for images of shape {shape}. Received: {len(given)}"
            )
    tiles = as_tiles(images, None, value_range)
    rows, columns = tiles.shape[:2]
    names = [f"unit {i}" for i in range(rows)] if unit_names is None else list(unit_names)
    marks = None if values is None else [_signed(value) for value in values]
    scale = 0.62 * min(2.0, max(0.7, 8.0 / max(rows, columns)))
    figure = new_figure(
        scale * columns + 0.5 + 0.08 * max(map(len, names)),
        scale * rows + 1.0,
        title or "Latent traversal",
    )
    axes = figure.subplots()
    draw_mosaic(axes, tiles, row_names=names, column_names=marks)
    if marks is not None:
        axes.xaxis.set_label_position("top")
        axes.set_xlabel("value of the unit (standard deviations)", color=TEXT, fontsize=9)
    return figure


def _signed(value: float) -> str:
    return f"{value:+.3g}".replace("-", "\N{MINUS SIGN}") if value else "0"
