"""What a detector's head says of each point, and the losses and boxes that follow from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from keras_transgen.transfer.detection.assignment import Assigned
from keras_transgen.transfer.detection.boxes import boxes_around, intersection_over_union
from keras_transgen.transfer.detection.losses import centreness
from keras_transgen.transfer.detection.points import Points

# A box of four strides is what an untrained head says.
_UNIT = 2.0
_LARGEST_LOGARITHM = 6.0


class PointOutputs(NamedTuple):
    """What a head says, in float32.

    Attributes:
        class_logits: `[batch, points, num_classes]`.
        boxes: `[batch, points, 4]`, in pixels.
        centreness_logits: `[batch, points]`; `None` where the head does not say it.
    """

    class_logits: tf.Tensor
    boxes: tf.Tensor
    centreness_logits: tf.Tensor | None

    def scores(self) -> tf.Tensor:
        """How sure it is of each class, by which boxes are sorted: `[batch, points, num_classes]`.

        With centre-ness the root of the product of both probabilities.
        """
        probabilities = tf.sigmoid(self.class_logits)
        if self.centreness_logits is None:
            return probabilities
        return tf.sqrt(probabilities * tf.sigmoid(self.centreness_logits)[..., None])


def taken_apart(raw: Any, num_classes: int, points: Points) -> PointOutputs:
    """Take apart what `detection_head` gives.

    Args:
        raw: `[batch, points, num_classes + 4]` or `num_classes + 5`.
        num_classes: Number of classes.
        points: The points.
    """
    raw = tf.cast(raw, tf.float32)
    logarithms = raw[..., num_classes : num_classes + 4]
    limited = tf.clip_by_value(logarithms, -_LARGEST_LOGARITHM, _LARGEST_LOGARITHM)
    distances = tf.exp(limited) * (_UNIT * points.strides[None, :, None])
    boxes = boxes_around(tf.constant(points.places), distances)
    has_centreness = raw.shape[-1] > num_classes + 4
    return PointOutputs(
        raw[..., :num_classes], boxes, raw[..., num_classes + 4] if has_centreness else None
    )


def detection_losses(
    outputs: PointOutputs,
    assigned: Assigned,
    points: Points,
    class_loss: Callable[..., tf.Tensor],
    box_loss: Callable[..., tf.Tensor],
) -> dict[str, tf.Tensor]:
    """The sums over a batch that a detector minimises, by name.

    Args:
        outputs: What the head says.
        assigned: What each point shall say.
        points: The points.
        class_loss: One of `CLASS_LOSSES`.
        box_loss: One of `BOX_LOSSES`.

    Returns:
        `class_loss`, `box_loss`, and `centreness_loss` where the head says that. Scalars.
    """
    has_object = assigned.labels >= 0
    counts = tf.cast(has_object, tf.float32)
    # Where there is no object both boxes are the same, and no gradient is lost in a division.
    true = tf.where(has_object[..., None], assigned.boxes, tf.stop_gradient(outputs.boxes))
    overlaps = intersection_over_union(tf.stop_gradient(outputs.boxes), true) * counts
    sums = {
        "class_loss": class_loss(outputs.class_logits, assigned.labels, overlaps),
        "box_loss": tf.reduce_sum(counts * box_loss(outputs.boxes, true)),
    }
    if outputs.centreness_logits is not None:
        target = centreness(tf.constant(points.places), true)
        cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(target, outputs.centreness_logits)
        sums["centreness_loss"] = tf.reduce_sum(counts * cross_entropy)
    return sums
