"""What was tried on held-out examples before a fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_transgen.plotting.appearance import LINE_COLOURS, QUIET, legend, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_fine_tuning_recipe(
    rates: Sequence[float],
    short_losses: Sequence[float],
    shares: Sequence[float],
    trials: Mapping[float, tuple[Sequence[float], Sequence[float]]],
    *,
    probe_loss: float,
    chosen: tuple[float, float] | None = None,
    title: str | None = None,
) -> Figure:
    """Held-out loss of short trials over the rate, and of whole ones over the way from the probe.

    Args:
        rates: Rates of the short trials, positive.
        short_losses: Held-out loss of each in nats; those that are not finite are left out.
        shares: Shares of the way from the probe (0) to the tuned weights (1).
        trials: By the rate of each whole trial, its losses at the shares and their standard errors.
        probe_loss: Held-out loss of the probe.
        chosen: Rate and share to mark.
        title: Of the figure.

    Returns:
        A Matplotlib figure with two axes.

    Raises:
        ValueError: If lengths differ or there is nothing to draw.

    Example:
        ```python
        from keras_transgen.plotting import plot_fine_tuning_recipe

        figure = plot_fine_tuning_recipe(
            [1e-4, 1e-3], [0.4, 0.3], [0.0, 1.0], {1e-3: ([0.5, 0.2], [0.0, 0.1])}, probe_loss=0.5
        )
        ```
    """
    tried, losses = np.asarray(rates, float), np.asarray(short_losses, float)
    lengths = {len(each) for pair in trials.values() for each in pair} | {len(shares)}
    if tried.shape != losses.shape or not len(tried) or len(lengths) != 1 or not trials:
        raise ValueError(
            "Expected a loss for each rate, and losses and errors of each trial for each share. "
            f"Received: {tried.size} rates, {losses.size} losses, {len(shares)} shares, "
            f"{len(trials)} trials of lengths {sorted(lengths)}"
        )
    figure = new_figure(9.0, 3.8, title)
    left, right = figure.subplots(1, 2)
    tidy(left, title="Short trials", x_label="learning rate (log scale)", y_label="held-out loss")
    finite = np.isfinite(losses)
    left.set_xscale("log")
    left.plot(tried[finite], losses[finite], "o-", color=LINE_COLOURS[0], label="after some steps")
    left.axhline(probe_loss, color=QUIET, linestyle="--", label="probe")
    # Rates that destroy would flatten the rest.
    lowest = float(losses[finite].min(initial=probe_loss))
    left.set_ylim(0.9 * lowest, 3.0 * probe_loss + 1e-9)
    tidy(right, title="Whole trials", x_label="share of the way from the probe")
    for place, (rate, (values, errors)) in enumerate(trials.items()):
        colour = LINE_COLOURS[place % len(LINE_COLOURS)]
        right.errorbar(
            shares, values, yerr=errors, fmt="o-", color=colour, capsize=3, label=f"rate {rate:.2g}"
        )
    if chosen is not None and chosen[0] in trials:
        value = trials[chosen[0]][0][list(shares).index(chosen[1])]
        right.plot([chosen[1]], [value], "ko", markersize=12, fillstyle="none", label="chosen")
    for axes in (left, right):
        legend(axes)
    return figure
