"""Curves of a training run: what `fit` logged, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transgen.plotting.appearance import LINE_COLOURS, legend, new_figure, readable, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HIGHER_IS_BETTER = ("accuracy", "auc", "precision", "recall", "coverage", "f1", "active_units")
_LOWER_IS_BETTER = ("loss", "error", "distance", "negative_elbo")
# Neither end is good: a small divergence is a collapse, a player's loss depends on the other's.
_NEITHER = ("kl", "generator_loss", "discriminator_loss")
_ON_A_LOG_SCALE = ("learning_rate", "lr")
_VALIDATION = "val_"


def plot_learning_curves(
    history: Any, *, metrics: Sequence[str] | None = None, title: str | None = None
) -> Figure:
    """Every logged metric over the epochs, training and validation on the same axes.

    The best validation value of each metric is marked.

    Args:
        history: What `fit` returned, or its `history` dictionary from name to values.
        metrics: Names to show, without `val_`; defaults to all.
        title: Of the figure.

    Returns:
        A Matplotlib figure, one panel per metric.

    Raises:
        ValueError: If the history is empty or a name in `metrics` was not logged.

    Example:
        ```python
        from keras_transgen.plotting import plot_learning_curves

        figure = plot_learning_curves({"loss": [1.0, 0.5], "val_loss": [1.1, 0.7]})
        ```
    """
    logged: Mapping[str, Sequence[float]] = getattr(history, "history", history)
    names = list(dict.fromkeys(name.removeprefix(_VALIDATION) for name in logged))
    if not names or not any(len(values) for values in logged.values()):
        raise ValueError(
            "Expected the history of at least one epoch; call fit first. "
            f"Received: {dict(logged)!r}"
        )
    if metrics is not None:
        missing = [name for name in metrics if name not in names]
        if missing:
            raise ValueError(f"Expected metrics among {names}. Received: {missing}")
        names = list(metrics)
    columns = min(3, len(names))
    rows = math.ceil(len(names) / columns)
    figure = new_figure(max(5.5, 4.0 * columns), 3.1 * rows + (0.3 if title else 0.0), title)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, name in zip(panels, names):
        _panel(axes, name, logged.get(name), logged.get(_VALIDATION + name))
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    return figure


def _panel(
    axes: Axes, name: str, training: Sequence[float] | None, validation: Sequence[float] | None
) -> None:
    from matplotlib.ticker import MaxNLocator

    tidy(axes, title=readable(name), x_label="epoch")
    series = [("training", training, "-"), ("validation", validation, "--")]
    for colour, (label, values, line) in zip(LINE_COLOURS, series):
        if values is None:
            continue
        marker = "o" if len(values) < 20 else None
        axes.plot(
            np.arange(1, len(values) + 1),
            values,
            line,
            color=colour,
            marker=marker,
            markersize=3.5,
            label=label,
        )
    epochs = max(len(values) for values in (training, validation) if values is not None)
    axes.xaxis.set_major_locator(
        MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1)
    )
    axes.set_xlim(1 - 0.04 * epochs, epochs + 0.04 * epochs)
    if name in _ON_A_LOG_SCALE:
        axes.set_yscale("log")
    if _has_a_best(name) and validation is not None and np.isfinite(validation).any():
        _mark_best(axes, name, np.asarray(validation, dtype=float))
    if training is not None and validation is not None:
        legend(axes)


def _has_a_best(name: str) -> bool:
    known = (*_HIGHER_IS_BETTER, *_LOWER_IS_BETTER)
    return name not in _NEITHER and any(word in name for word in known)


def _mark_best(axes: Axes, name: str, values: np.ndarray) -> None:
    higher = any(word in name for word in _HIGHER_IS_BETTER)
    best = int(np.nanargmax(values) if higher else np.nanargmin(values))
    axes.plot(
        best + 1,
        values[best],
        "o",
        markersize=8,
        markerfacecolor="none",
        markeredgecolor=LINE_COLOURS[1],
        markeredgewidth=1.6,
        label=f"best {values[best]:.4g} in epoch {best + 1}",
    )
