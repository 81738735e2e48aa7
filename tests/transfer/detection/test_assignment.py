"""Which point answers for which object: by hand, and by a loop in Python."""

import numpy as np
import tensorflow as tf

from keras_transgen.transfer.detection.assignment import assign_to_points
from keras_transgen.transfer.detection.points import grid_points

POINTS = grid_points(64, [(8, 8), (4, 4), (2, 2)])
RNG = np.random.default_rng(1)


def by_loop(boxes, labels, points):
    """The same rule, point by point and object by object."""
    found_labels, found_boxes = [], []
    for (x, y), stride, low, high in zip(*points):
        best, chosen = np.inf, None
        for (left, top, right, bottom), label in zip(boxes, labels):
            size = (right - left) * (bottom - top)
            if label < 0 or not low < np.sqrt(size) <= high or size >= best:
                continue
            apart = max(abs(x - (left + right) / 2), abs(y - (top + bottom) / 2))
            is_inside = left < x < right and top < y < bottom
            if (is_inside and apart < 1.5 * stride) or apart <= 0.5 * stride:
                best, chosen = size, (label, (left, top, right, bottom))
        found_labels.append(-1 if chosen is None else chosen[0])
        found_boxes.append((0.0,) * 4 if chosen is None else chosen[1])
    return np.array(found_labels), np.array(found_boxes)


def test_points_of_the_scales():
    assert POINTS.places.shape == (84, 2)
    assert POINTS.places[:2].tolist() == [[4.0, 4.0], [12.0, 4.0]]
    assert POINTS.places[-1].tolist() == [48.0, 48.0]
    assert np.unique(POINTS.strides).tolist() == [8.0, 16.0, 32.0]
    assert POINTS.smallest[[0, 64, 80]].tolist() == [0.0, 64.0, 128.0]
    assert POINTS.largest[[0, 64, 80]].tolist() == [64.0, 128.0, np.inf]


def test_equals_the_loop_compiled_or_not():
    points_of_all_sizes = POINTS._replace(
        smallest=(POINTS.smallest / 8), largest=(POINTS.largest / 8)
    )
    assign = tf.function(
        lambda boxes, labels: assign_to_points(boxes, labels, points_of_all_sizes),
        jit_compile=True,
    )
    corners = RNG.uniform(0, 50, size=(6, 12, 2))
    sides = RNG.uniform(1, 14, size=(6, 12, 2)) * RNG.uniform(0.3, 2.5, size=(6, 12, 1))
    boxes = np.concatenate([corners, np.minimum(corners + sides, 64)], -1).astype("float32")
    labels = RNG.integers(0, 3, size=(6, 12))
    labels[3:, 8:] = -1
    labels[5] = -1
    expected = [by_loop(*each, points_of_all_sizes) for each in zip(boxes, labels)]
    for found in (assign(boxes, labels), assign_to_points(boxes, labels, points_of_all_sizes)):
        for number, (expected_labels, expected_boxes) in enumerate(expected):
            np.testing.assert_array_equal(found.labels[number], expected_labels)
            there = expected_labels >= 0
            np.testing.assert_allclose(found.boxes[number][there], expected_boxes[there])
    assert {-1, 0, 1, 2} == set(np.unique(found.labels))
    assert (found.labels[5].numpy() == -1).all()


def test_an_object_smaller_than_a_cell_has_a_point():
    # In the corner of a cell, where no point lies.
    found = assign_to_points([[[8.5, 8.5, 9.5, 9.5]]], [[2]], POINTS)
    assert np.flatnonzero(found.labels[0] >= 0).tolist() == [9]
    assert POINTS.places[9].tolist() == [12.0, 12.0]


def test_the_smaller_of_two_objects_is_taken():
    boxes = [[[0.0, 0, 40, 40], [15, 15, 25, 25]]]
    found = assign_to_points(boxes, [[0, 1]], POINTS)
    middle = POINTS.places.tolist().index([20.0, 20.0])
    assert found.labels[0, middle] == 1
    assert 0 in found.labels[0]


def test_no_objects_at_all():
    found = assign_to_points(np.zeros((2, 0, 4), "float32"), np.zeros((2, 0), "int64"), POINTS)
    assert found.labels.shape == (2, 84)
    assert (found.labels.numpy() == -1).all()
