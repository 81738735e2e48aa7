"""Accuracy against the number of labelled examples, per method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_transgen.plotting.appearance import (
    LINE_COLOURS,
    LINE_MARKERS,
    QUIET,
    legend,
    new_figure,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_few_shot_chart(
    accuracies: Mapping[str, Mapping[int, Sequence[float]]],
    *,
    confidence: float = 0.95,
    chance: float | None = None,
    title: str | None = None,
) -> Figure:
    """Mean accuracy over seeds against the examples per class, with confidence intervals.

    The interval is Student's t interval of the mean; one seed gives none.

    Args:
        accuracies: For each method, for each number of examples per class, the accuracies of the
            seeds, 0 to 1.
        confidence: Of the intervals. Defaults to 0.95.
        chance: Accuracy of guessing, drawn as a line if given.
        title: Of the figure.

    Returns:
        A Matplotlib figure.

    Raises:
        ValueError: If there is no method, a method has no accuracies, or `confidence` is not
            between 0 and 1.

    Example:
        ```python
        from keras_transgen.plotting import plot_few_shot_chart

        figure = plot_few_shot_chart(
            {"FeatureTransfer": {1: [0.5, 0.6], 5: [0.8, 0.82]}, "scratch": {1: [0.3], 5: [0.5]}}
        )
        ```
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"Expected confidence between 0 and 1. Received: {confidence}")
    empty = [
        name
        for name, by_count in accuracies.items()
        if not by_count or not all(len(values) for values in by_count.values())
    ]
    if not accuracies or empty:
        raise ValueError(
            "Expected accuracies for at least one method, and for every number of examples of it. "
            f"Received: {len(accuracies)} method(s), nothing for {empty}"
        )
    figure = new_figure(7.0, 4.4)
    axes = figure.subplots()
    seeds = {len(v) for by_count in accuracies.values() for v in by_count.values()}
    tidy(
        axes,
        title=title or "Accuracy with few labelled examples",
        x_label="labelled examples per class",
        y_label=f"accuracy (mean, {confidence:.0%} interval)" if max(seeds) > 1 else "accuracy",
    )
    axes.set_xscale("log")
    middle = (len(accuracies) - 1) / 2
    for i, (name, by_count) in enumerate(accuracies.items()):
        counts = sorted(by_count)
        means = [float(np.mean(by_count[k])) for k in counts]
        halves = [_half_interval(by_count[k], confidence) for k in counts]
        # A little apart, so that intervals do not hide each other.
        places = [k * 1.025 ** (i - middle) for k in counts]
        axes.errorbar(
            places,
            means,
            yerr=halves,
            color=LINE_COLOURS[i % len(LINE_COLOURS)],
            marker=LINE_MARKERS[i % len(LINE_MARKERS)],
            markersize=5.5,
            linewidth=1.6,
            elinewidth=1.2,
            capsize=3,
            label=name,
        )
    if chance is not None:
        axes.axhline(chance, color=QUIET, linewidth=1.0, linestyle=":", label="guessing")
    everywhere = sorted({k for by_count in accuracies.values() for k in by_count})
    axes.set_xticks(everywhere, [str(k) for k in everywhere])
    axes.set_xticks([], minor=True)
    legend(axes, loc="best")
    return figure


def _half_interval(values: Sequence[float], confidence: float) -> float:
    from scipy.stats import t

    if len(values) < 2:
        return 0.0
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    return float(t.ppf(0.5 + confidence / 2, len(values) - 1) * error)
