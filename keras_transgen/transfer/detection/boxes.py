"""Boxes in the graph: their format, said once, and how far two of them agree.

A box is `[left, top, right, bottom]`, the edges of an object in pixels of the image that the
network sees, counted from the upper left corner of the upper left pixel: left before right, top
above bottom, and an image of width `w` goes from 0 to `w`. All functions here take boxes
`[..., 4]`, of any leading dimensions that go together, and compute in float32.
"""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from keras_transgen.training.registry import Registry

#: Losses of boxes by name: functions of `(made, true)`, `[..., 4]` each, that return `[...]`.
BOX_LOSSES = Registry("box_loss")
_TINY = 1e-7


def areas(boxes: Any) -> tf.Tensor:
    """Areas `[...]` of boxes in square pixels; 0 of what is no box."""
    sides = tf.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
    return sides[..., 0] * sides[..., 1]


def intersections(one: Any, other: Any) -> tf.Tensor:
    """Areas `[...]` of what two boxes share."""
    top_left = tf.maximum(one[..., :2], other[..., :2])
    bottom_right = tf.minimum(one[..., 2:], other[..., 2:])
    return areas(tf.concat([top_left, bottom_right], axis=-1))


def intersection_over_union(one: Any, other: Any) -> tf.Tensor:
    """The share of their union that two boxes have in common, in [0, 1].

    Args:
        one: `[..., 4]`.
        other: `[..., 4]`.

    Returns:
        `[...]`; 0 where neither has an area.

    Example:
        ```python
        import tensorflow as tf
        from keras_transgen.transfer.detection.boxes import intersection_over_union

        overlap = intersection_over_union(tf.constant([0.0, 0, 2, 2]), tf.constant([1.0, 0, 3, 2]))
        assert abs(float(overlap) - 1 / 3) < 1e-6
        ```
    """
    shared = intersections(one, other)
    return tf.math.divide_no_nan(shared, areas(one) + areas(other) - shared)


def pairwise_overlaps(one: Any, other: Any) -> tf.Tensor:
    """Intersection over union of every box with every other one.

    Args:
        one: `[..., n, 4]`.
        other: `[..., m, 4]`.

    Returns:
        `[..., n, m]`.
    """
    return intersection_over_union(one[..., :, None, :], other[..., None, :, :])


@BOX_LOSSES.register("giou")
def generalized_iou_loss(made: Any, true: Any) -> tf.Tensor:
    """One minus the generalised intersection over union, in [0, 2].

    From the intersection over union is taken the share of the smallest box around both that neither
    fills, so that boxes apart have a gradient too.

    Args:
        made: Boxes of the network, `[..., 4]`.
        true: Boxes of the objects, `[..., 4]`.

    Returns:
        `[...]`.

    Reference:
        Rezatofighi et al., Generalized intersection over union, 2019.
    """
    shared = intersections(made, true)
    union = areas(made) + areas(true) - shared
    around = areas(_around(made, true))
    return 1.0 - shared / (union + _TINY) + (around - union) / (around + _TINY)


@BOX_LOSSES.register("ciou")
def complete_iou_loss(made: Any, true: Any) -> tf.Tensor:
    """One minus the complete intersection over union.

    Beside the overlap count the distance of the centres, as a share of the diagonal of the box
    around both, and how far the ratios of width and height differ.

    Args:
        made: Boxes of the network, `[..., 4]`.
        true: Boxes of the objects, `[..., 4]`.

    Returns:
        `[...]`.

    Reference:
        Zheng et al., Distance-IoU loss: Faster and better learning for bounding box regression,
        2020.
    """
    overlap = intersection_over_union(made, true)
    around = _around(made, true)
    diagonal = tf.reduce_sum(tf.square(around[..., 2:] - around[..., :2]), axis=-1)
    apart = tf.reduce_sum(tf.square(_centres(made) - _centres(true)), axis=-1)
    ratio = (4.0 / math.pi**2) * tf.square(_angle(true) - _angle(made))
    # As in the paper, no gradient through the weight of the ratio.
    weight = tf.stop_gradient(ratio / (1.0 - overlap + ratio + _TINY))
    return 1.0 - overlap + apart / (diagonal + _TINY) + weight * ratio


def boxes_around(points: Any, distances: Any) -> tf.Tensor:
    """Boxes from points and the distances of the four edges from them.

    Args:
        points: `[..., 2]`, x and y in pixels.
        distances: `[..., 4]`: to the left, top, right and bottom edge, in pixels.

    Returns:
        `[..., 4]`.
    """
    return tf.concat([points - distances[..., :2], points + distances[..., 2:]], axis=-1)


def distances_to_edges(points: Any, boxes: Any) -> tf.Tensor:
    """Distances of points from the left, top, right and bottom edge; negative beyond an edge.

    Args:
        points: `[..., 2]`, x and y in pixels.
        boxes: `[..., 4]`.

    Returns:
        `[..., 4]`.
    """
    return tf.concat([points - boxes[..., :2], boxes[..., 2:] - points], axis=-1)


def _around(one: Any, other: Any) -> tf.Tensor:
    """The smallest boxes around two."""
    return tf.concat(
        [tf.minimum(one[..., :2], other[..., :2]), tf.maximum(one[..., 2:], other[..., 2:])],
        axis=-1,
    )


def _centres(boxes: Any) -> tf.Tensor:
    return (boxes[..., :2] + boxes[..., 2:]) / 2.0


def _angle(boxes: Any) -> tf.Tensor:
    sides = boxes[..., 2:] - boxes[..., :2]
    return tf.math.atan2(sides[..., 0], sides[..., 1] + _TINY)
