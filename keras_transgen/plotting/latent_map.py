"""Where the examples lie in the latent space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transgen.plotting.appearance import (
    CLASS_COLOURS,
    LINE_COLOURS,
    TEXT,
    class_name,
    legend,
    new_figure,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_latent_map(
    latents: Any,
    labels: Any = None,
    class_names: Sequence[str] | None = None,
    *,
    title: str | None = None,
) -> Figure:
    """Latent vectors as points, coloured by class; more than two dimensions by their PCA.

    Each class bears its name at its median, so that colours alone need not tell classes apart.

    Args:
        latents: Latent vectors or features `[count, latent_dim]`, at least two dimensions.
        labels: Classes, integers `[count]`.
        class_names: Names of the classes; defaults to their numbers.
        title: Of the figure.

    Returns:
        A Matplotlib figure. For more than two dimensions the axes are the first two principal
        components and say their share of the variance.

    Raises:
        ValueError: If latents have a wrong shape, are not finite, or labels do not fit.

    Example:
        ```python
        from keras_transgen.datasets import load_digits
        from keras_transgen.plotting import plot_latent_map

        images, labels = load_digits()
        figure = plot_latent_map(images.reshape(1797, -1), labels)
        ```
    """
    points = np.asarray(latents, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] < 2 or len(points) < 2:
        raise ValueError(
            "Expected latents [count, latent_dim], at least two of both. "
            f"Received: shape {points.shape}"
        )
    finite = np.isfinite(points).all(axis=1)
    if not finite.all():
        raise ValueError(
            f"Expected finite latents. Received: NaN or infinity in row {int(np.argmin(finite))}"
        )
    classes = None if labels is None else np.asarray(labels)
    if classes is not None and (classes.shape != (len(points),) or classes.dtype.kind not in "iu"):
        raise ValueError(
            "Expected an integer label for every row of latents. Received: labels of shape "
            f"{classes.shape} ({classes.dtype}) for {len(points)} rows"
        )
    x_label, y_label = "latent unit 0", "latent unit 1"
    if points.shape[1] > 2:
        points, shares = _principal_components(points)
        x_label, y_label = (
            f"principal component {i + 1} ({100 * share:.0f} % of variance)"
            for i, share in enumerate(shares)
        )
    figure = new_figure(6.4 if labels is None else 7.2, 5.8)
    axes = figure.subplots()
    tidy(axes, title=title or "Latent space", x_label=x_label, y_label=y_label, grid="both")
    # Many points are drawn smaller and let each other through.
    size = float(np.clip(20_000 / len(points), 3, 24))
    dots: dict[str, Any] = {"s": size, "alpha": 0.65, "linewidths": 0}
    if classes is None:
        axes.scatter(*points.T, color=LINE_COLOURS[0], **dots)
        return figure
    numbers = np.unique(classes)
    names = [class_name(int(number), class_names) for number in numbers]
    medians = np.array([np.median(points[classes == number], axis=0) for number in numbers])
    colours = [CLASS_COLOURS[i % len(CLASS_COLOURS)] for i in range(len(numbers))]
    for number, name, colour in zip(numbers, names, colours):
        axes.scatter(*points[classes == number].T, color=colour, label=name, **dots)
    # A dot of the map is too small to tell its colour in the legend.
    scale = float(np.sqrt(40.0 / size))
    legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=scale)
    _write_names(axes, medians, names, colours)
    return figure


def _principal_components(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.decomposition import PCA

    analysis = PCA(n_components=2, svd_solver="full")
    return analysis.fit_transform(points), analysis.explained_variance_ratio_


def _write_names(axes: Axes, medians: np.ndarray, names: list[str], colours: list[str]) -> None:
    """Write each name at its class' median, but for those that would hide an earlier one."""
    width, height = (limits[1] - limits[0] for limits in (axes.get_xlim(), axes.get_ylim()))
    written: list[tuple[np.ndarray, int]] = []
    for median, name, colour in zip(medians, names, colours):
        hides = any(
            abs(median[1] - other[1]) < 0.06 * height
            and abs(median[0] - other[0]) < (0.03 + 0.012 * (len(name) + length)) * width
            for other, length in written
        )
        if hides:
            continue
        written.append((median, len(name)))
        box = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": colour}
        axes.text(
            median[0],
            median[1],
            name,
            color=TEXT,
            fontsize=11,
            fontweight="bold",
            ha="center",
            va="center",
            bbox={**box, "linewidth": 2.0},
            zorder=5,
        )
