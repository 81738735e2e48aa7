"""Overlaps, losses and distances of boxes: values by hand, and by NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.transfer.detection.boxes import (
    areas,
    boxes_around,
    complete_iou_loss,
    distances_to_edges,
    generalized_iou_loss,
    intersection_over_union,
    pairwise_overlaps,
)

RNG = np.random.default_rng(0)


def random_boxes(count: int) -> np.ndarray:
    corners = RNG.uniform(0, 50, size=(count, 2))
    return np.concatenate([corners, corners + RNG.uniform(1, 30, (count, 2))], -1).astype("float32")


def overlap_of_pixels(one, other):
    """Of boxes on whole pixels, by counting these."""
    masks = np.zeros((2, 40, 40), bool)
    for mask, (left, top, right, bottom) in zip(masks, (one, other)):
        mask[top:bottom, left:right] = True
    return (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()


def test_overlaps_are_those_of_counted_pixels():
    one = RNG.integers(0, 20, size=(40, 4))
    other = RNG.integers(0, 20, size=(40, 4))
    for boxes in (one, other):
        boxes[:, 2:] = boxes[:, :2] + 1 + boxes[:, 2:] % 15
    expected = [[overlap_of_pixels(a, b) for b in other] for a in one]
    found = pairwise_overlaps(one.astype("float32"), other.astype("float32"))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(
        intersection_over_union(one.astype("float32"), other.astype("float32")),
        np.diag(expected),
        atol=1e-6,
    )


def test_areas_of_no_boxes_are_zero():
    assert areas(tf.constant([[0.0, 0, 2, 3], [2, 0, 0, 3], [1, 1, 1, 1]])).numpy().tolist() == [
        6.0,
        0.0,
        0.0,
    ]


def test_losses_by_hand():
    # Side by side: nothing shared, 8 of 12 square pixels around them filled.
    one, other = tf.constant([0.0, 0, 2, 2]), tf.constant([4.0, 0, 6, 2])
    assert float(generalized_iou_loss(one, other)) == pytest.approx(1 + 4 / 12)
    # Centres 4 apart, the diagonal of 6 x 2; equal ratios.
    assert float(complete_iou_loss(one, other)) == pytest.approx(1 + 16 / 40)
    # Half of one, with the same centre: 2 x 2 in 4 x 2.
    wide = tf.constant([-1.0, 0, 3, 2])
    ratio = 4 / np.pi**2 * (np.arctan(2.0) - np.arctan(1.0)) ** 2
    assert float(generalized_iou_loss(one, wide)) == pytest.approx(0.5)
    assert float(complete_iou_loss(one, wide)) == pytest.approx(
        0.5 + ratio**2 / (0.5 + ratio), rel=1e-5
    )
    for loss in (generalized_iou_loss, complete_iou_loss):
        assert float(loss(one, one)) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("loss", [generalized_iou_loss, complete_iou_loss])
def test_losses_pull_boxes_apart_together(loss):
    made, true = tf.Variable([0.0, 0, 10, 10]), tf.constant([30.0, 40, 50, 55])
    start = float(loss(made, true))

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            value = loss(made, true)
        made.assign_sub(tf.clip_by_norm(200.0 * tape.gradient(value, made), 0.5))

    for _ in range(1000):
        step()
    assert start > 1.0
    assert float(loss(made, true)) < 0.05


def test_distances_and_boxes_are_inverse():
    boxes, points = random_boxes(20), RNG.uniform(0, 60, size=(20, 2)).astype("float32")
    distances = distances_to_edges(points, boxes)
    left, top, right, bottom = boxes.T
    x, y = points.T
    np.testing.assert_allclose(distances, np.stack([x - left, y - top, right - x, bottom - y], 1))
    np.testing.assert_allclose(boxes_around(points, distances), boxes, atol=1e-5)
