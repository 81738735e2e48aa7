"""Which classes a classifier takes for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transgen.plotting.appearance import QUIET, TEXT, class_name, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_CLASSES_WITH_COUNTS = 20
_MOST_CLASSES_WITH_NAMES = 60


def plot_confusion_matrix(
    labels: Any,
    predictions: Any,
    class_names: Sequence[str] | None = None,
    *,
    title: str | None = None,
) -> Figure:
    """A matrix of true against predicted classes: counts, coloured by the share of the true class.

    Args:
        labels: True classes, integers `[count]`.
        predictions: Predicted classes, integers `[count]`, or scores `[count, classes]`.
        class_names: Names of the classes; defaults to their numbers.
        title: Defaults to the accuracy and the count.

    Returns:
        A Matplotlib figure.

    Raises:
        ValueError: If counts differ, there are no examples, or a class has no name.

    Example:
        ```python
        from keras_transgen.plotting import plot_confusion_matrix

        figure = plot_confusion_matrix([0, 0, 1], [0, 1, 1], class_names=["ant", "bee"])
        ```
    """
    from sklearn.metrics import confusion_matrix

    true, predicted = np.asarray(labels), np.asarray(predictions)
    scored = predicted.shape[1] if predicted.ndim == 2 else 0
    if predicted.ndim == 2:
        predicted = predicted.argmax(axis=1)
    if true.ndim != 1 or true.shape != predicted.shape or not len(true):
        raise ValueError(
            "Expected one prediction per label, [count] or [count, classes], and at least one. "
            f"Received: labels.shape={true.shape}, predictions.shape={np.shape(predictions)}"
        )
    if min(true.min(), predicted.min()) < 0:
        raise ValueError(
            "Expected classes numbered from 0. "
            f"Received: {min(true.min(), predicted.min())} as the smallest"
        )
    seen = int(max(true.max(), predicted.max())) + 1
    classes = len(class_names) if class_names is not None else max(seen, scored)
    if seen > classes:
        raise ValueError(
            f"Expected a name for every class. Received: {classes} names and class {seen - 1}"
        )
    names = [class_name(i, class_names) for i in range(classes)]
    counts = confusion_matrix(true, predicted, labels=np.arange(classes))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    accuracy = float(np.mean(true == predicted))
    return _figure(
        counts, shares, names, title or f"accuracy {accuracy:.3f} of {len(true):,} examples"
    )


def _figure(counts: np.ndarray, shares: np.ndarray, names: list[str], title: str) -> Figure:
    classes = len(names)
    side = min(12.0, max(3.2, 0.5 * classes + 1.2))
    longest = max(len(name) for name in names)
    figure = new_figure(side + 1.0 + 0.07 * longest, side)
    axes = figure.subplots()
    tidy(axes, title=title, x_label="predicted class", y_label="true class", grid="none")
    axes.spines[:].set_visible(False)
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    bar = figure.colorbar(image, ax=axes, shrink=0.85, ticks=[0.0, 0.5, 1.0])
    bar.set_label("share of the true class", color=TEXT, fontsize=9)
    bar.ax.set_yticklabels(["0 %", "50 %", "100 %"])
    bar.ax.tick_params(colors=QUIET, labelcolor=TEXT, labelsize=9)
    bar.outline.set_visible(False)
    # Lines between cells; ticks stay on the middles.
    axes.set_xticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.2)
    axes.tick_params(which="both", length=0)
    if classes <= _MOST_CLASSES_WITH_NAMES:
        crowded = longest * classes > 8 * side
        axes.set_xticks(
            np.arange(classes),
            names,
            rotation=45 if crowded else 0,
            ha="right" if crowded else "center",
            rotation_mode="anchor" if crowded else "default",
        )
        axes.set_yticks(np.arange(classes), names)
    if classes <= _MOST_CLASSES_WITH_COUNTS:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = "white" if shares[row, column] > 0.55 else TEXT
                axes.text(column, row, f"{count}", ha="center", va="center", color=colour, size=9)
    return figure
