"""What a detector is held to: each point's classes, its box, and how sure it may be.

All functions return sums over points and classes, in float32. The step divides them once, by the
number of points that answer for an object, counted over all replicas.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from keras_transgen.training.registry import Registry
from keras_transgen.transfer.detection.boxes import distances_to_edges

#: Losses of classes by name: functions of `(logits, labels, overlaps)`; see `focal_loss`.
CLASS_LOSSES = Registry("class_loss")
_ALPHA, _GAMMA = 0.25, 2.0


@CLASS_LOSSES.register("focal")
def focal_loss(logits: Any, labels: Any, overlaps: Any) -> tf.Tensor:
    """Binary cross-entropy of every class, where what is known already counts little.

    With `p` the probability of what is true: `-a (1 - p)^2 log p`, `a` 0.25 for the object's class
    and 0.75 for all others.

    Args:
        logits: `[batch, points, num_classes]`.
        labels: int32 `[batch, points]`; -1 where there is no object.
        overlaps: Of each point's box with its object's, `[batch, points]`; not looked at.

    Returns:
        The sum, a scalar.

    Reference:
        Lin et al., Focal loss for dense object detection, 2017.
    """
    logits = tf.cast(logits, tf.float32)
    true = tf.one_hot(labels, logits.shape[-1])
    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(true, logits)
    wrong = tf.abs(true - tf.sigmoid(logits))
    weight = true * _ALPHA + (1.0 - true) * (1.0 - _ALPHA)
    return tf.reduce_sum(weight * wrong**_GAMMA * cross_entropy)


@CLASS_LOSSES.register("quality_focal")
def quality_focal_loss(logits: Any, labels: Any, overlaps: Any) -> tf.Tensor:
    """Cross-entropy with how well the point's box fits, weighed by the square of the distance.

    The class of a point's object shall have the probability that is the intersection over union of
    the point's box with the object's, all others zero. So one number says what it is and how well
    the box fits, by which boxes are sorted, and no centre-ness is learnt.

    Args:
        logits: `[batch, points, num_classes]`.
        labels: int32 `[batch, points]`; -1 where there is no object.
        overlaps: Of each point's box with its object's, `[batch, points]`, in [0, 1]; no gradient
            flows through them.

    Returns:
        The sum, a scalar.

    Reference:
        Li et al., Generalized focal loss, 2020.
    """
    logits = tf.cast(logits, tf.float32)
    true = tf.one_hot(labels, logits.shape[-1]) * tf.stop_gradient(overlaps)[..., None]
    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(true, logits)
    return tf.reduce_sum(tf.square(true - tf.sigmoid(logits)) * cross_entropy)


def centreness(points: Any, boxes: Any) -> tf.Tensor:
    """How near points are to the middle of boxes: 1 at it, 0 at an edge and beyond.

    The root of the product, over both axes, of the smaller distance over the larger one.

    Args:
        points: `[..., 2]`.
        boxes: `[..., 4]`.

    Returns:
        `[...]`.

    Reference:
        Tian, Shen, Chen and He, FCOS, 2019.
    """
    distances = tf.maximum(distances_to_edges(points, boxes), 0.0)
    one, other = distances[..., :2], distances[..., 2:]
    ratios = tf.math.divide_no_nan(tf.minimum(one, other), tf.maximum(one, other))
    return tf.sqrt(tf.reduce_prod(ratios, axis=-1))


def normalizer(labels: Any) -> tf.Tensor:
    """By what sums of losses are divided: points that answer for an object, and one an image.

    Of no objects at all the background's loss is then a mean over images.

    Args:
        labels: int32 `[batch, points]` of one replica.

    Returns:
        Those of all replicas, a float32 scalar. Call it outside the compiled function.
    """
    count = tf.reduce_sum(tf.cast(labels >= 0, tf.float32))
    images = tf.cast(tf.shape(labels)[0], tf.float32)
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        replica = tf.distribute.get_replica_context()
        count, images = replica.all_reduce(tf.distribute.ReduceOp.SUM, [count, images])
    return tf.maximum(tf.maximum(count, images), 1.0)
