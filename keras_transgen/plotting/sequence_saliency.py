"""Letters as high as what a model makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transgen.plotting.appearance import CLASS_COLOURS, TEXT, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# As sequence logos have them: Schneider and Stephens, 1990.
_NUCLEOTIDES = {"A": "#009E73", "C": "#0072B2", "G": "#E69F00", "T": "#D55E00", "U": "#D55E00"}
_MOST = 400


def plot_sequence_saliency(
    sequence: str,
    attributions: Any,
    *,
    start: int = 0,
    title: str | None = None,
) -> Figure:
    """A sequence whose letters are as high as their attributions; below the line where negative.

    Args:
        sequence: The letters; at most 400.
        attributions: `[length]`, or `[length, letters]` as of a one-hot input, which is summed
            over its letters: what is not there has none, under a baseline of zeros.
        start: Number of the first position on the axis. Defaults to 0.
        title: Defaults to `"Attribution of each letter"`.

    Returns:
        A Matplotlib figure.

    Raises:
        ValueError: There is no letter, there are too many, or attributions do not fit them.

    Example:
        ```python
        import numpy as np
        from keras_transgen.plotting import plot_sequence_saliency

        figure = plot_sequence_saliency("TATAAT", np.array([2.0, 1.5, 0.2, 0.4, -0.3, 1.8]))
        ```
    """
    heights = np.asarray(attributions, "float64")
    if heights.ndim == 2:
        heights = heights.sum(axis=1)
    if not 0 < len(sequence) <= _MOST:
        raise ValueError(
            f"Expected a sequence of 1 to {_MOST} letters; take a stretch of it, and say where it "
            f"begins by start. Received: {len(sequence)} letters"
        )
    if heights.shape != (len(sequence),) or not np.isfinite(heights).all():
        raise ValueError(
            f"Expected a finite attribution for each of {len(sequence)} letters, [length] or "
            f"[length, letters]. Received: shape {list(np.shape(attributions))}"
        )
    figure = new_figure(
        min(16.0, max(4.0, 0.16 * len(sequence))), 2.4, title or "Attribution of each letter"
    )
    axes = figure.subplots()
    for place, (letter, height) in enumerate(zip(sequence, heights)):
        _draw_letter(axes, letter, start + place, float(height), _colour(letter, sequence))
    largest = float(np.abs(heights).max()) or 1.0
    low, high = min(0.0, float(heights.min())), max(0.0, float(heights.max()))
    axes.set_xlim(start - 0.6, start + len(sequence) - 0.4)
    axes.set_ylim(low - 0.05 * largest, high + 0.05 * largest)
    axes.axhline(0.0, color=TEXT, linewidth=0.8)
    tidy(axes, x_label="position", y_label="attribution", grid="y")
    return figure


def _colour(letter: str, sequence: str) -> str:
    upper = letter.upper()
    if set(sequence.upper()) <= set("ACGTUN-"):
        return _NUCLEOTIDES.get(upper, TEXT)
    return CLASS_COLOURS[ord(upper) % len(CLASS_COLOURS)]


def _draw_letter(axes: Axes, letter: str, place: int, height: float, colour: str) -> None:
    """A letter that fills its place: from zero to its height, one position wide."""
    from matplotlib.patches import PathPatch
    from matplotlib.text import TextPath
    from matplotlib.transforms import Affine2D

    if height == 0.0:
        return
    path = TextPath((0, 0), letter, size=1)
    box = path.get_extents()
    if box.width == 0 or box.height == 0:
        return
    fit = (
        Affine2D()
        .translate(-box.x0, -box.y0)
        .scale(0.9 / box.width, height / box.height)
        .translate(place - 0.45, 0.0)
    )
    axes.add_patch(PathPatch(path.transformed(fit), facecolor=colour, edgecolor="none", lw=0))
