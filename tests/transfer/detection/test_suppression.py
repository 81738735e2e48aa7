"""Non-maximum suppression: TensorFlow's own on the same boxes, compiled or not."""

import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.transfer.detection.suppression import suppress

RNG = np.random.default_rng(3)


def crowded(batch=4, points=150, classes=3):
    """Heaps of boxes on few objects, so that most are suppressed, some by suppressed ones."""
    centres = RNG.uniform(20, 80, size=(batch, 6, 2))
    chosen = centres[np.arange(batch)[:, None], RNG.integers(0, 6, size=(batch, points))]
    middle = chosen + RNG.normal(size=(batch, points, 2)) * 4
    half = RNG.uniform(4, 12, size=(batch, points, 2))
    boxes = np.concatenate([middle - half, middle + half], -1).astype("float32")
    return boxes, (RNG.uniform(size=(batch, points, classes)) ** 3).astype("float32")


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize(("score", "iou"), [(0.05, 0.5), (0.3, 0.2), (0.0, 0.9), (0.999, 0.5)])
def test_equals_tensorflows(jit_compile, score, iou):
    boxes, scores = crowded()
    expected = tf.image.combined_non_max_suppression(
        boxes[:, :, None] / 100, scores, 60, 60, iou, score, clip_boxes=False
    )
    function = tf.function(
        lambda boxes, scores: suppress(boxes, scores, score, iou, 60, 450), jit_compile=jit_compile
    )
    found = function(boxes, scores)
    np.testing.assert_array_equal(found.counts, expected.valid_detections)
    np.testing.assert_allclose(found.boxes, expected.nmsed_boxes * 100, rtol=1e-5)
    np.testing.assert_array_equal(found.scores, expected.nmsed_scores)
    there = found.scores.numpy() > 0
    np.testing.assert_array_equal(
        found.labels.numpy()[there], expected.nmsed_classes.numpy()[there]
    )
    assert (found.labels.numpy()[~there] == -1).all()


def test_a_box_beaten_by_a_beaten_box_stays():
    boxes = tf.constant([[[0.0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10], [11, 0, 21, 10]]])
    scores = tf.constant([[[0.9], [0.8], [0.7], [0.6]]])
    # Neighbours share 6 of 14, 6 of 14 and 7 of 13.
    found = suppress(boxes, scores, iou=0.4, max_detections=4)
    assert found.scores[0, : int(found.counts[0])].numpy().tolist() == pytest.approx([0.9, 0.7])


def test_classes_do_not_suppress_each_other():
    boxes = tf.constant([[[0.0, 0, 10, 10], [0, 0, 10, 10]]])
    found = suppress(boxes, tf.constant([[[0.9, 0.1], [0.2, 0.8]]]), score=0.15, max_detections=9)
    assert found.counts.numpy().tolist() == [2]
    assert found.labels.numpy().tolist() == [[0, 1, -1, -1, -1, -1, -1, -1, -1]]
    assert found.boxes.shape == (1, 9, 4)


def test_thresholds_may_be_tensors():
    boxes, scores = crowded(batch=1)
    trace = tf.function(suppress)
    counts = [
        int(trace(boxes, scores, tf.constant(score), tf.constant(0.5)).counts[0])
        for score in (0.9, 0.5)
    ]
    assert counts[0] < counts[1]
    assert trace.experimental_get_tracing_count() == 1
