"""Loss against learning rate, from a learning-rate finder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_transgen.plotting.appearance import LINE_COLOURS, QUIET, legend, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_learning_rate_finder(
    learning_rates: Sequence[float],
    losses: Sequence[float],
    *,
    smoothed: Sequence[float] | None = None,
    suggestion: float | None = None,
    title: str | None = None,
) -> Figure:
    """The loss at each learning rate tried, with the suggested rate.

    Losses after divergence, far above all before, do not flatten the curve: the axis ends above
    the first loss.

    Args:
        learning_rates: Rates tried, positive, ascending.
        losses: Loss at each; values that are not finite are left out.
        smoothed: Smoothed loss at each, drawn strong over the plain one.
        suggestion: Rate to mark.
        title: Of the figure.

    Returns:
        A Matplotlib figure.

    Raises:
        ValueError: If lengths differ, there are none, a rate is not positive, or no loss is
            finite.

    Example:
        ```python
        import numpy as np
        from keras_transgen.plotting import plot_learning_rate_finder

        rates = np.logspace(-5, 0, 30)
        figure = plot_learning_rate_finder(rates, np.cos(rates * 2), suggestion=1e-2)
        ```
    """
    rates, values = np.asarray(learning_rates, float), np.asarray(losses, float)
    if rates.ndim != 1 or rates.shape != values.shape or not len(rates):
        raise ValueError(
            "Expected a loss for every learning rate, at least one. "
            f"Received: shapes {rates.shape} and {values.shape}"
        )
    if smoothed is not None and len(smoothed) != len(rates):
        raise ValueError(f"Expected {len(rates)} smoothed losses. Received: {len(smoothed)}")
    if not (rates > 0).all() or not np.isfinite(values).any():
        raise ValueError(
            "Expected positive learning rates and at least one finite loss. "
            f"Received: lowest rate {rates.min()}, {int(np.isfinite(values).sum())} finite losses"
        )
    figure = new_figure(6.4, 3.8)
    axes = figure.subplots()
    tidy(
        axes,
        title=title or "Learning-rate finder",
        x_label="learning rate (log scale)",
        y_label="loss",
    )
    axes.set_xscale("log")
    faint = smoothed is not None
    axes.plot(
        rates,
        values,
        color=LINE_COLOURS[0],
        linewidth=1.0 if faint else 1.8,
        alpha=0.35 if faint else 1.0,
        label="loss",
    )
    strong = values
    if smoothed is not None:
        strong = np.asarray(smoothed, float)
        axes.plot(rates, strong, color=LINE_COLOURS[0], linewidth=2.0, label="smoothed loss")
    if suggestion is not None:
        axes.axvline(
            suggestion,
            color=LINE_COLOURS[1],
            linestyle="--",
            linewidth=1.6,
            label=f"suggested: {suggestion:.2g}",
        )
    finite = strong[np.isfinite(strong)]
    lowest, first = float(finite.min()), float(finite[0])
    room = max(first - lowest, 0.05 * abs(first), 1e-12)
    axes.set_ylim(lowest - 0.1 * room, min(float(finite.max()), first + 0.6 * room) + 0.05 * room)
    axes.spines["left"].set_color(QUIET)
    legend(axes)
    return figure
