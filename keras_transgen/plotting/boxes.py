"""Images with boxes around what is in them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transgen.plotting.appearance import CLASS_COLOURS, class_name, new_figure, plain_text
from keras_transgen.plotting.mosaic import in_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INCHES_PER_IMAGE = 2.6
_HIGHEST = 3.0
_MOST_INCHES = 13.0


def plot_boxes(
    images: Sequence[Any],
    found: Sequence[Any],
    truth: Sequence[Any] | None = None,
    *,
    class_names: Sequence[str] | None = None,
    score: float = 0.0,
    columns: int | None = None,
    value_range: tuple[float, float] = (0.0, 1.0),
    title: str | None = None,
) -> Figure:
    """Images with boxes in the colours of their classes, and what each class is called.

    Args:
        images: Arrays `[height, width, channels]` of any sizes, with 1 or 3 channels.
        found: For each image a dict, or an object, of `"boxes"` `[n, 4]` (left, top, right and
            bottom edge in pixels), `"labels"` `[n]` and, where there are some, `"scores"` `[n]`,
            which stand beside the names; as `Detector.detect` returns them. Labels below 0 are
            padding.
        truth: The same of the true boxes, which are drawn dashed.
        class_names: Names of the classes. Defaults to those that `found` has, or to the labels.
        score: Boxes of less are left out.
        columns: Images in a row. Defaults to a square.
        value_range: `(low, high)` of float images; integer images are 0 to 255.
        title: Of the figure.

    Returns:
        A Matplotlib figure.

    Raises:
        ValueError: If there are no images, or not as many of boxes.

    Example:
        ```python
        import numpy as np
        from keras_transgen.plotting import plot_boxes

        found = [{"boxes": [[4, 4, 20, 12]], "labels": [0], "scores": [0.9]}]
        figure = plot_boxes(np.ones((1, 32, 32, 1)), found, class_names=["cell"])
        ```
    """
    pictures = [np.asarray(image) for image in images]
    if not pictures or any(each.ndim != 3 or each.shape[-1] not in (1, 3) for each in pictures):
        raise ValueError(
            "Expected images [height, width, channels] with 1 or 3 channels, at least one. "
            f"Received: shapes {[each.shape for each in pictures[:3]]}"
        )
    for name, given in (("found", found), ("truth", truth)):
        if given is not None and len(given) != len(pictures):
            raise ValueError(
                f"Expected boxes for each image. Received: {len(pictures)} images, {name} of "
                f"{len(given)}"
            )
    if columns is not None and columns < 1:
        raise ValueError(f"Expected columns of at least 1. Received: columns={columns}")
    columns = min(columns or math.ceil(math.sqrt(len(pictures))), len(pictures))
    rows = math.ceil(len(pictures) / columns)
    # Of a strip a pixel wide the figure would be higher than memory.
    ratio = min(max(each.shape[0] / each.shape[1] for each in pictures), _HIGHEST)
    ratio = max(ratio, 1.0 / _HIGHEST)
    width = min(_INCHES_PER_IMAGE, _MOST_INCHES / columns)
    figure = new_figure(width * columns, width * ratio * rows + (0.4 if title else 0.0), title)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for place, (axes, picture) in enumerate(zip(panels, pictures)):
        axes.imshow(in_colour(picture, value_range))
        if truth is not None:
            _draw(axes, truth[place], class_names, 0.0, dashed=True)
        _draw(axes, found[place], class_names, score, dashed=False)
    return figure


def _draw(
    axes: Axes, objects: Any, class_names: Sequence[str] | None, score: float, dashed: bool
) -> None:
    from matplotlib.patches import Rectangle

    boxes = np.asarray(_part(objects, "boxes"), float).reshape(-1, 4)
    labels = np.asarray(_part(objects, "labels"), int).reshape(-1)
    scores, names = _part(objects, "scores"), _part(objects, "names")
    for place, ((left, top, right, bottom), label) in enumerate(zip(boxes, labels)):
        if label < 0 or (scores is not None and scores[place] < score):
            continue
        colour = CLASS_COLOURS[label % len(CLASS_COLOURS)]
        # The picture's first pixel is drawn around 0, where its box begins at -0.5.
        corner = (left - 0.5, top - 0.5)
        axes.add_patch(
            Rectangle(
                corner,
                right - left,
                bottom - top,
                fill=False,
                edgecolor=colour,
                linewidth=1.2,
                linestyle="--" if dashed else "-",
            )
        )
        if dashed:
            continue
        own = names[place] if class_names is None and names is not None else None
        text = plain_text(own) if own else class_name(int(label), class_names)
        if scores is not None:
            text = f"{text} {float(scores[place]):.2f}"
        axes.text(
            *corner,
            text,
            color="white",
            fontsize=6,
            verticalalignment="bottom",
            bbox={"facecolor": colour, "edgecolor": "none", "pad": 0.8},
            clip_on=True,
        )


def _part(objects: Any, key: str) -> Any:
    return objects.get(key) if isinstance(objects, Mapping) else getattr(objects, key, None)
