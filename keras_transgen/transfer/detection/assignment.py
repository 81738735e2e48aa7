"""Which point of an image answers for which object."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from keras_transgen.transfer.detection.boxes import areas, distances_to_edges
from keras_transgen.transfer.detection.points import Points

# Points so many strides from an object's centre answer for it.
_RADIUS = 1.5


class Assigned(NamedTuple):
    """What each point shall say.

    Attributes:
        labels: int32 `[batch, points]`; -1 where there is no object.
        boxes: float32 `[batch, points, 4]`, the object's; of no meaning where there is none.
    """

    labels: tf.Tensor
    boxes: tf.Tensor


def assign_to_points(boxes: Any, labels: Any, points: Points) -> Assigned:
    """Give each object the points near its centre on the scale of its size.

    A point answers for an object whose mean side belongs to its scale where it lies within the
    object and within 1.5 strides of the object's centre, along both axes. The point whose cell
    holds the centre answers for it in any case: an object smaller than a cell has a point too. Of
    several objects the point takes the smallest.

    Args:
        boxes: float32 `[batch, objects, 4]`, in pixels.
        labels: Integers `[batch, objects]`; -1 for padding.
        points: The points, as `grid_points` gives them.

    Returns:
        What each point shall say. Compiled by XLA or not, it is the same.

    Reference:
        Tian, Shen, Chen and He, FCOS: A simple and strong anchor-free object detector, 2020
        (centre sampling).
    """
    labels = tf.cast(labels, tf.int32)
    boxes = tf.cast(boxes, tf.float32)
    if boxes.shape[1] == 0:
        # Nothing could be chosen from.
        boxes = tf.zeros([tf.shape(boxes)[0], 1, 4])
        labels = tf.fill([tf.shape(boxes)[0], 1], -1)
    places = tf.constant(points.places)[None, :, None]
    strides = tf.constant(points.strides)[None, :, None]
    each = boxes[:, None]
    is_inside = tf.reduce_min(distances_to_edges(places, each), axis=-1) > 0.0
    centres = (each[..., :2] + each[..., 2:]) / 2.0
    apart = tf.reduce_max(tf.abs(places - centres), axis=-1)
    is_near = is_inside & (apart < _RADIUS * strides)
    # A centre on the border of two cells is in both.
    is_near |= apart <= 0.5 * strides
    size = areas(boxes)[:, None]
    side = tf.sqrt(size)
    belongs = (side > tf.constant(points.smallest)[None, :, None]) & (
        side <= tf.constant(points.largest)[None, :, None]
    )
    may_answer = is_near & belongs & (labels[:, None] >= 0)
    cost = tf.where(may_answer, size, tf.constant(float("inf")))
    chosen = tf.argmin(cost, axis=-1, output_type=tf.int32)
    has_object = tf.reduce_any(may_answer, axis=-1)
    found = tf.where(has_object, tf.gather(labels, chosen, batch_dims=1), -1)
    return Assigned(found, tf.gather(boxes, chosen, batch_dims=1))
