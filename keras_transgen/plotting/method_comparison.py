"""Methods side by side: a bar each, with its spread over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_transgen.plotting.appearance import LINE_COLOURS, QUIET, TEXT, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_method_comparison(
    scores: Mapping[str, Sequence[float]],
    *,
    details: Mapping[str, str] | None = None,
    score_name: str = "accuracy",
    limit: float | None = 1.0,
    title: str | None = None,
) -> Figure:
    """A horizontal bar per method: mean, standard deviation, and each seed as a dot.

    Args:
        scores: For each method, the scores of the seeds, from top to bottom.
        details: A few words for some methods, under their names, such as `"38,000 parameters,
            4 s"`.
        score_name: What the scores are, with a unit. Defaults to `"accuracy"`.
        limit: Right end of the axis; `None` fits the scores. Defaults to 1.
        title: Of the figure.

    Returns:
        A Matplotlib figure.

    Raises:
        ValueError: If there is no method, a method has no finite scores, or details name a method
            without scores.

    Example:
        ```python
        from keras_transgen.plotting import plot_method_comparison

        figure = plot_method_comparison(
            {"FeatureTransfer": [0.94, 0.95, 0.93], "from scratch": [0.71, 0.78, 0.74]},
            details={"FeatureTransfer": "650 parameters, 2 s"},
        )
        ```
    """
    wrong = [name for name, v in scores.items() if not len(v) or not np.isfinite(v).all()]
    if not scores or wrong:
        raise ValueError(
            "Expected finite scores for at least one method, and at least one for each. "
            f"Received: {len(scores)} method(s), none or not finite for {wrong}"
        )
    details = details or {}
    unknown = [name for name in details if name not in scores]
    if unknown:
        raise ValueError(
            f"Expected details of methods in {list(scores)}. Received: details of {unknown}"
        )
    seeds = max(len(values) for values in scores.values())
    names = [f"{name}\n{details[name]}" if name in details else name for name in scores]
    figure = new_figure(8.2, 1.1 + 0.72 * len(scores))
    axes = figure.subplots()
    heading = title or "Comparison of methods"
    said = f"{score_name} (mean ± standard deviation, dots are {seeds} seeds)"
    tidy(axes, title=heading, x_label=said if seeds > 1 else score_name, grid="x")
    for place, values in enumerate(scores.values()):
        mean = float(np.mean(values))
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        axes.barh(
            place,
            mean,
            height=0.62,
            color=LINE_COLOURS[place % len(LINE_COLOURS)],
            alpha=0.85,
            xerr=spread or None,
            error_kw={"ecolor": TEXT, "capsize": 4, "elinewidth": 1.3},
        )
        if len(values) > 1:
            axes.plot(
                values,
                np.linspace(place - 0.18, place + 0.18, len(values)),
                "o",
                markersize=4,
                color="white",
                markeredgecolor=TEXT,
                markeredgewidth=0.8,
                zorder=4,
            )
        text = f"{mean:.3f} ± {spread:.3f}" if len(values) > 1 else f"{mean:.3f}"
        # In a column of their own, right of the axes: never over a bar or a dot.
        axes.annotate(
            text,
            (1.0, place),
            xycoords=("axes fraction", "data"),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            color=TEXT,
            fontsize=10,
            fontweight="bold",
            annotation_clip=False,
        )
    axes.set_yticks(np.arange(len(names)), names)
    axes.tick_params(axis="y", length=0, labelsize=10)
    axes.spines["left"].set_color(QUIET)
    axes.invert_yaxis()
    axes.set_xlim(left=min(0.0, *(min(v) for v in scores.values())), right=limit)
    return figure
