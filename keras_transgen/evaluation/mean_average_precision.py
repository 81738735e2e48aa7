"""How well boxes are found: mean average precision, as COCO's own tool computes it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

_THRESHOLDS = np.linspace(0.5, 0.95, 10)
_RECALLS = np.linspace(0.0, 1.0, 101)
_MOST_DETECTIONS = 100
#: The means over objects of one size.
SIZES = ("map_small", "map_medium", "map_large")
# Least and greatest area in pixels: of all objects, and of small, medium and large ones.
_AREAS = np.array([[0.0, 1e10], [0.0, 32.0**2], [32.0**2, 96.0**2], [96.0**2, 1e10]])


class MeanAveragePrecision(NamedTuple):
    """What `mean_average_precision` returns; NaN where there is no object to be found.

    Attributes:
        map: Mean over classes and over the overlaps 0.5, 0.55, ... 0.95, in [0, 1].
        map50: Mean over classes at an overlap of 0.5.
        map75: The same at 0.75.
        recall: Share of the objects that are found, over classes and overlaps.
        by_class: From each class that has objects to its `map`.
        by_class50: The same of `map50`.
        map_small: `map` of objects of at most 32 x 32 square pixels; NaN if there are none.
        map_medium: `map` of objects from there to 96 x 96.
        map_large: `map` of objects from there on.
    """

    map: float
    map50: float
    map75: float
    recall: float
    by_class: dict[int, float]
    by_class50: dict[int, float]
    map_small: float = math.nan
    map_medium: float = math.nan
    map_large: float = math.nan


def mean_average_precision(
    truth: Sequence[Any], found: Sequence[Any], max_detections: int = _MOST_DETECTIONS
) -> MeanAveragePrecision:
    """Mean average precision of found boxes, equal to that of `pycocotools`.

    The boxes of a class are gone through from the most certain one on. One that overlaps an object
    of its image, which no earlier one was given, by the wanted share is right; any other is wrong.
    The precision at 101 recalls from 0 to 1 is that of the best later point, and its mean is the
    average precision of the class.

    Args:
        truth: For each image a dict (or an object with such attributes) of `"boxes"` `[n, 4]`, the
            left, top, right and bottom edges, and `"labels"`, integers `[n]`; those below 0 are
            padding. `"crowd"`, booleans `[n]`, marks groups, which any number of boxes may be
            given, and nobody need find. `"area"`, `[n]`, is the objects' size where their outlines
            are known; defaults to that of their boxes. `(image, truth)` pairs are taken for the
            truth, so a data set of `datasets.voc_boxes` may be given as it is.
        found: For each image, in the same order, a dict (or an object) of `"boxes"` `[n, 4]`,
            `"labels"` `[n]` and `"scores"` `[n]`.
        max_detections: Boxes of each image and class that count, the most certain ones. Defaults to
            100, as in COCO.

    Returns:
        The means, and the values of each class.

    Raises:
        ValueError: If they are not of the same number of images, there are none, or an image's
            arrays do not go together or are not finite.

    Example:
        ```python
        from keras_transgen.evaluation import mean_average_precision

        truth = [{"boxes": [[0, 0, 10, 10], [20, 20, 30, 30]], "labels": [0, 0]}]
        found = [{"boxes": [[0, 0, 10, 9]], "labels": [0], "scores": [0.8]}]
        result = mean_average_precision(truth, found)
        assert abs(result.map50 - 51 / 101) < 1e-6
        ```

    Reference:
        Lin et al., Microsoft COCO: Common objects in context, 2014; Everingham et al., The PASCAL
        visual object classes (VOC) challenge, 2010.
    """
    for name, each in (("truth", truth), ("found", found)):
        if isinstance(each, Mapping) or hasattr(each, "boxes"):
            raise ValueError(
                f"Expected a list with the boxes of each image. Received: {name} of type "
                f"{type(each).__name__}; one image alone goes into a list, [{name}]"
            )
    objects = [_objects(each, number) for number, each in enumerate(truth)]
    detections = [_detections(each, number) for number, each in enumerate(found)]
    if not objects or len(objects) != len(detections):
        raise ValueError(
            "Expected found boxes for each image of the truth, of one image at least. "
            f"Received: {len(objects)} images of truth, {len(detections)} of found boxes"
        )
    if max_detections < 1:
        raise ValueError(
            f"Expected max_detections of at least 1. Received: max_detections={max_detections}"
        )
    classes = sorted({int(label) for each in objects for label in each.labels})
    by_size: list[dict[int, tuple[np.ndarray, float]]] = [{} for _ in _AREAS]
    for label in classes:
        matched = [
            _matched(one, other, label, max_detections) for one, other in zip(objects, detections)
        ]
        counts = np.sum([each.objects for each in matched], axis=0)
        for size, (curves, count) in enumerate(zip(by_size, counts)):
            if count:
                curves[label] = _curve(matched, size, int(count))
    if not by_size[0]:
        return MeanAveragePrecision(math.nan, math.nan, math.nan, math.nan, {}, {})
    precisions = {label: precision for label, (precision, _) in by_size[0].items()}
    values = np.stack(list(precisions.values()))
    means = [
        float(np.mean([precision for precision, _ in curves.values()])) if curves else math.nan
        for curves in by_size[1:]
    ]
    return MeanAveragePrecision(
        float(values.mean()),
        float(values[:, 0].mean()),
        float(values[:, 5].mean()),
        float(np.mean([recall for _, recall in by_size[0].values()])),
        {label: float(each.mean()) for label, each in precisions.items()},
        {label: float(each[0].mean()) for label, each in precisions.items()},
        *means,
    )


class _Objects(NamedTuple):
    boxes: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray
    area: np.ndarray


class _Detections(NamedTuple):
    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray


class _Matched(NamedTuple):
    """Of one image and class: for each box and overlap whether it is right, and whether it counts.

    Attributes:
        scores: `[boxes]`, falling.
        is_right: `[sizes, overlaps, boxes]`.
        is_left_out: `[sizes, overlaps, boxes]`.
        objects: How many of each size are to be found.
    """

    scores: np.ndarray
    is_right: np.ndarray
    is_left_out: np.ndarray
    objects: np.ndarray


def _part(values: Any, key: str) -> Any:
    return values.get(key) if isinstance(values, Mapping) else getattr(values, key, None)


def _arrays(values: Any, number: int, third: str, default: Any) -> tuple[np.ndarray, ...]:
    if _part(values, "boxes") is None or _part(values, "labels") is None:
        raise ValueError(
            f"Expected boxes and labels of each image. Received: no such part of image {number}"
        )
    boxes = np.asarray(_part(values, "boxes"), "float64").reshape(-1, 4)
    labels = np.asarray(_part(values, "labels")).reshape(-1)
    extra = _part(values, third)
    extra = np.asarray(np.full(len(labels), default) if extra is None else extra).reshape(-1)
    numbers = labels.dtype.kind in "iufb"
    whole = labels.size == 0 or (numbers and np.array_equal(labels, np.floor(labels)))
    finite = bool(np.isfinite(boxes).all() and np.isfinite(extra.astype("float64")).all())
    if not len(boxes) == len(labels) == len(extra) or not whole or not finite:
        raise ValueError(
            f"Expected finite boxes [n, 4], labels as integers [n], and {third} [n] of each image. "
            f"Received: {len(boxes)} boxes, {len(labels)} labels and {len(extra)} {third} of image "
            f"{number}" + ("" if finite else ", not all finite")
        )
    kept = labels >= 0
    return boxes[kept], labels[kept].astype("int64"), extra[kept]


def _objects(values: Any, number: int) -> _Objects:
    if isinstance(values, tuple) and not hasattr(values, "boxes"):
        values = values[-1]
    boxes, labels, crowd = _arrays(values, number, "crowd", False)
    area = _part(values, "area")
    areas = _area(boxes) if area is None else _arrays(values, number, "area", 0.0)[2]
    return _Objects(boxes, labels, crowd.astype(bool), areas.astype("float64"))


def _detections(values: Any, number: int) -> _Detections:
    if _part(values, "scores") is None:
        raise ValueError(
            f"Expected scores beside the found boxes. Received: none of image {number}"
        )
    boxes, labels, scores = _arrays(values, number, "scores", 0.0)
    return _Detections(boxes, labels, scores.astype("float64"))


def _matched(truth: _Objects, found: _Detections, label: int, most: int) -> _Matched:
    of_class = found.labels == label
    # Stable: of equal scores the first comes first.
    order = np.argsort(-found.scores[of_class], kind="stable")[:most]
    boxes, scores = found.boxes[of_class][order], found.scores[of_class][order]
    is_object = truth.labels == label
    # Groups last, so that an object of its own is taken before one.
    last = np.argsort(truth.crowd[is_object], kind="stable")
    objects, crowd = truth.boxes[is_object][last], truth.crowd[is_object][last]
    is_left_out = crowd | _is_of_other_size(truth.area[is_object][last])
    right, left_out = _match(_overlaps(boxes, objects, crowd), crowd, is_left_out)
    # A box that is no object of this size is wrong only if it is of this size.
    left_out |= ~right & _is_of_other_size(_area(boxes))[:, None]
    return _Matched(scores, right, left_out, (~is_left_out).sum(axis=1))


def _match(
    overlaps: np.ndarray, crowd: np.ndarray, is_left_out: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Give boxes, the most certain first, the object that each overlaps most, if it is free.

    Args:
        overlaps: `[boxes, objects]`.
        crowd: `[objects]`.
        is_left_out: `[sizes, objects]`: what nobody need find.

    Returns:
        `[sizes, overlaps, boxes]` each: what is given an object, and one that nobody need find.
    """
    sizes, objects = is_left_out.shape
    right = np.zeros((sizes, len(_THRESHOLDS), len(overlaps)), bool)
    left_out = np.zeros_like(right)
    if not objects:
        return right, left_out
    least = np.minimum(_THRESHOLDS, 1.0 - 1e-10)[:, None]
    is_free = np.ones((sizes, len(_THRESHOLDS), objects), bool)
    for box, row in enumerate(overlaps):
        may_be = (row >= least) & is_free
        if not may_be.any():
            continue
        own = may_be & ~is_left_out[:, None]
        candidates = np.where(own.any(axis=-1, keepdims=True), own, may_be)
        # Of equal overlaps the last, as in COCO's loop.
        best = np.where(candidates, row, -1.0)
        chosen = objects - 1 - np.argmax(best[..., ::-1], axis=-1)
        right[..., box] = candidates.any(axis=-1)
        left_out[..., box] = right[..., box] & np.take_along_axis(is_left_out, chosen, axis=1)
        size, overlap = np.nonzero(right[..., box] & ~crowd[chosen])
        is_free[size, overlap, chosen[size, overlap]] = False
    return right, left_out


def _area(boxes: np.ndarray) -> np.ndarray:
    return np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1)


def _is_of_other_size(area: np.ndarray) -> np.ndarray:
    """`[sizes, boxes]`; what lies on a limit is of both sizes, as in COCO."""
    return (area < _AREAS[:, :1]) | (area > _AREAS[:, 1:])


def _overlaps(boxes: np.ndarray, objects: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """Intersection over union `[boxes, objects]`; over the box alone for groups."""
    sides = np.minimum(boxes[:, None, 2:], objects[None, :, 2:]) - np.maximum(
        boxes[:, None, :2], objects[None, :, :2]
    )
    shared = np.prod(np.maximum(sides, 0.0), axis=-1)
    own, others = _area(boxes)[:, None], _area(objects)[None]
    union = np.where(crowd[None], own, own + others - shared)
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _curve(matched: Sequence[_Matched], size: int, count: int) -> tuple[np.ndarray, float]:
    """Precision `[overlaps, recalls]` of a class and size, and its share of objects found."""
    scores = np.concatenate([each.scores for each in matched])
    order = np.argsort(-scores, kind="stable")
    right = np.concatenate([each.is_right[size] for each in matched], axis=1)[:, order]
    left_out = np.concatenate([each.is_left_out[size] for each in matched], axis=1)[:, order]
    hits = np.cumsum(right & ~left_out, axis=1, dtype="float64")
    misses = np.cumsum(~right & ~left_out, axis=1, dtype="float64")
    precision = np.zeros((len(_THRESHOLDS), len(_RECALLS)))
    reached = np.zeros(len(_THRESHOLDS))
    for row, (hit, miss) in enumerate(zip(hits, misses)):
        if not len(hit):
            continue
        recall = hit / count
        exact = hit / (hit + miss + np.spacing(1))
        best_later = np.maximum.accumulate(exact[::-1])[::-1]
        places = np.searchsorted(recall, _RECALLS, side="left")
        there = places < len(best_later)
        precision[row, there] = best_later[places[there]]
        reached[row] = recall[-1]
    return precision, float(reached.mean())
