"""Trials of a search as lines over their hyperparameters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transgen.plotting.appearance import FAINT, QUIET, TEXT, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Where trials pass that do not have a hyperparameter, below the axis.
_ABSENT = -0.14
# A range over more than this factor is read by orders of magnitude.
_LOG_FACTOR = 10.0
_LONGEST = 14


def plot_parallel_coordinates(
    trials: Sequence[Mapping[str, Any]],
    scores: Sequence[float],
    *,
    score_name: str = "score",
    maximize: bool = True,
    names: Sequence[str] | None = None,
    title: str | None = None,
) -> Figure:
    """One line a trial, from hyperparameter to hyperparameter to its score; the best is bold.

    Numbers have an axis from the smallest to the largest (logarithmic over large ranges), words one
    place each. A trial that does not have a hyperparameter passes below its axis, at "absent".

    Args:
        trials: The hyperparameters of each trial.
        scores: What each trial reached.
        score_name: What the scores are, with a unit. Defaults to `"score"`.
        maximize: Whether the highest score is the best; the lowest otherwise. Defaults to True.
        names: Hyperparameters to show, from left to right. Defaults to all of which the trials have
            more than one value.
        title: Of the figure.

    Returns:
        A Matplotlib figure.

    Raises:
        ValueError: If there is no trial, a score is missing or not finite, or a name is unknown.

    Example:
        ```python
        from keras_transgen.plotting import plot_parallel_coordinates

        figure = plot_parallel_coordinates(
            [{"kind": "feature"}, {"kind": "lora", "rank": 4}, {"kind": "lora", "rank": 8}],
            [0.91, 0.93, 0.95],
            score_name="validation accuracy",
        )
        ```

    Reference:
        Inselberg, The plane with parallel coordinates, 1985.
    """
    if not trials or len(trials) != len(scores) or not np.isfinite(scores).all():
        raise ValueError(
            "Expected at least one trial, and one finite score for each. "
            f"Received: {len(trials)} trial(s), scores {list(scores)}"
        )
    everywhere = list(dict.fromkeys(name for trial in trials for name in trial))
    unknown = [name for name in names or () if name not in everywhere]
    if unknown:
        raise ValueError(
            f"Expected names out of the trials' {everywhere}. Received: names with {unknown}"
        )
    if names is None:
        names = [name for name in everywhere if len({trial.get(name) for trial in trials}) > 1]
    columns = [_Axis(name, [trial.get(name) for trial in trials]) for name in names]
    columns.append(_Axis(score_name, [float(score) for score in scores]))
    figure = new_figure(max(6.0, 1.5 * len(columns) + 1.6), 4.6)
    axes = figure.subplots()
    _draw_lines(axes, columns, np.asarray(scores, "float64"), maximize)
    for place, column in enumerate(columns):
        _draw_axis(axes, place, column)
    _finish(axes, columns, title or "Trials of the search")
    return figure


class _Axis:
    """One hyperparameter: where on its axis each trial lies, and what to write beside it."""

    def __init__(self, name: str, values: list[Any]) -> None:
        self.name = name
        present = [value for value in values if value is not None]
        self.has_absent = len(present) < len(values)
        numbers = all(
            isinstance(value, (int, float)) and not isinstance(value, bool) for value in present
        )
        if numbers:
            self.ticks, places = _number_scale(present)
        else:
            words = list(dict.fromkeys(str(value) for value in present))
            spread = np.linspace(0.0, 1.0, len(words)).tolist() if len(words) > 1 else [0.5]
            by_word = dict(zip(words, spread))
            self.ticks = [(place, _short(word)) for word, place in by_word.items()]
            places = [by_word[str(value)] for value in present]
        rest = iter(places)
        self.places = [_ABSENT if value is None else next(rest) for value in values]


def _number_scale(values: list[float]) -> tuple[list[tuple[float, str]], list[float]]:
    """Ticks and places of numbers between 0 and 1."""
    distinct = sorted(set(values))
    low, high = distinct[0], distinct[-1]
    if low == high:
        return [(0.5, f"{low:.3g}")], [0.5] * len(values)
    logarithmic = low > 0 and high / low > _LOG_FACTOR
    scale = math.log if logarithmic else float

    def place(value: float) -> float:
        return (scale(value) - scale(low)) / (scale(high) - scale(low))

    shown = distinct
    if len(distinct) > 5:
        steps = np.linspace(scale(low), scale(high), 5)
        shown = [float(math.exp(step) if logarithmic else step) for step in steps]
    return [(place(value), f"{value:.3g}") for value in shown], [place(value) for value in values]


def _short(word: str) -> str:
    return word if len(word) <= _LONGEST else f"{word[: _LONGEST - 1]}…"


def _draw_lines(axes: Axes, columns: list[_Axis], scores: np.ndarray, maximize: bool) -> None:
    from matplotlib import colormaps

    worth = scores if maximize else -scores
    span = float(np.ptp(worth)) or 1.0
    shades = (worth - worth.min()) / span
    # The best last, so that nothing hides it.
    for trial in np.argsort(worth, kind="stable"):
        best = trial == np.argmax(worth)
        axes.plot(
            range(len(columns)),
            [column.places[trial] for column in columns],
            # Without the palest part, which vanishes on white.
            color=colormaps["viridis_r"](0.12 + 0.88 * shades[trial]),
            linewidth=2.6 if best else 1.2,
            alpha=1.0 if best else 0.75,
            marker="o",
            markersize=5.0 if best else 3.0,
            label="best" if best else None,
        )


def _draw_axis(axes: Axes, place: int, column: _Axis) -> None:
    axes.plot([place, place], [0.0, 1.0], color=FAINT, linewidth=1.2, zorder=0)
    ticks = [*column.ticks, (_ABSENT, "absent")] if column.has_absent else column.ticks
    for height, text in ticks:
        axes.annotate(
            text,
            (place, height),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=QUIET if text == "absent" else TEXT,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.6},
        )


def _finish(axes: Axes, columns: list[_Axis], title: str) -> None:
    axes.set_title(title, loc="left", color=TEXT, fontsize=11, fontweight="bold")
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    axes.set_yticks([])
    names = [column.name.replace("_", "\n").replace(" ", "\n") for column in columns]
    axes.set_xticks(range(len(columns)), names)
    axes.tick_params(axis="x", length=0, labelsize=9, labelcolor=TEXT)
    axes.set_xlim(-0.2, len(columns) - 1 + 0.75)
    axes.set_ylim(_ABSENT - 0.08, 1.06)
