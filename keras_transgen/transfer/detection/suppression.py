"""Of many boxes around one object the best one: non-maximum suppression that XLA compiles."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from keras_transgen.transfer.detection.boxes import pairwise_overlaps

_CANDIDATES = 512


class Suppressed(NamedTuple):
    """The boxes that are left, the most probable first.

    Attributes:
        boxes: float32 `[batch, max_detections, 4]`; zeros where there are no more.
        scores: float32 `[batch, max_detections]`; zeros there.
        labels: int32 `[batch, max_detections]`; -1 there.
        counts: int32 `[batch]`, how many there are.
    """

    boxes: tf.Tensor
    scores: tf.Tensor
    labels: tf.Tensor
    counts: tf.Tensor


def suppress(
    boxes: Any,
    scores: Any,
    score: Any = 0.05,
    iou: Any = 0.5,
    max_detections: int = 100,
    candidates: int = _CANDIDATES,
) -> Suppressed:
    """Keep, class by class, boxes that overlap no better box of the same class.

    The `candidates` best pairs of a box and a class are sorted; a pair is kept if no better kept
    one of its class overlaps it by more than `iou`. All pairs are looked at together, again and
    again until nothing changes, which gives what going through them one by one gives. It is that of
    `tf.image.combined_non_max_suppression` (which XLA cannot compile) where at most `candidates`
    pairs are above `score`, or `max_detections` are kept.

    Args:
        boxes: `[batch, points, 4]`.
        scores: `[batch, points, num_classes]`, in [0, 1].
        score: Pairs of no more than this are dropped. A number or a scalar tensor.
        iou: Boxes of one class that overlap by more than this are one object.
        max_detections: Boxes an image, over all classes. Defaults to 100.
        candidates: Pairs that are looked at. Defaults to 512.

    Returns:
        The boxes that are left.

    Example:
        ```python
        import tensorflow as tf
        from keras_transgen.transfer.detection.suppression import suppress

        boxes = tf.constant([[[0.0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]]])
        found = suppress(boxes, tf.constant([[[0.9], [0.8], [0.7]]]), max_detections=3)
        assert found.counts.numpy().tolist() == [2]
        assert found.boxes[0, 1].numpy().tolist() == [20, 0, 30, 10]
        ```

    Reference:
        Neubeck and Van Gool, Efficient non-maximum suppression, 2006.
    """
    boxes, scores = tf.cast(boxes, tf.float32), tf.cast(scores, tf.float32)
    points, classes = scores.shape[1], scores.shape[2]
    candidates = min(max(candidates, max_detections), points * classes)
    best, pairs = tf.math.top_k(tf.reshape(scores, [-1, points * classes]), candidates)
    labels = pairs % classes
    boxes = tf.gather(boxes, pairs // classes, batch_dims=1)
    order = tf.range(candidates)
    overlaps = pairwise_overlaps(boxes, boxes) > tf.cast(iou, tf.float32)
    beats = overlaps & (labels[:, :, None] == labels[:, None]) & (order[:, None] < order)
    beats = tf.cast(beats, tf.float32)
    is_candidate = best > tf.cast(score, tf.float32)

    def look_again(kept: Any, _: Any) -> tuple[Any, Any]:
        beaten = tf.einsum("bi,bij->bj", tf.cast(kept, tf.float32), beats) > 0.5
        again = is_candidate & ~beaten
        return again, tf.reduce_any(again != kept)

    kept, _ = tf.while_loop(
        lambda _, changes: changes,
        look_again,
        (is_candidate, tf.constant(True)),
        # Every round settles one more place from the front at least.
        maximum_iterations=candidates + 1,
    )
    left, places = tf.math.top_k(tf.where(kept, best, -1.0), min(max_detections, candidates))
    is_there = left >= 0.0
    found = Suppressed(
        tf.where(is_there[..., None], tf.gather(boxes, places, batch_dims=1), 0.0),
        tf.where(is_there, left, 0.0),
        tf.where(is_there, tf.gather(labels, places, batch_dims=1), -1),
        tf.reduce_sum(tf.cast(is_there, tf.int32), axis=-1),
    )
    missing = max_detections - min(max_detections, candidates)
    if not missing:
        return found
    return Suppressed(
        tf.pad(found.boxes, [[0, 0], [0, missing], [0, 0]]),
        tf.pad(found.scores, [[0, 0], [0, missing]]),
        tf.pad(found.labels, [[0, 0], [0, missing]], constant_values=-1),
        found.counts,
    )
