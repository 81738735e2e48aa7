"""The detector's losses: by NumPy, by hand, and by what they are at their ends."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.transfer.detection.losses import (
    centreness,
    focal_loss,
    normalizer,
    quality_focal_loss,
)

RNG = np.random.default_rng(2)
LOGITS = RNG.normal(size=(2, 5, 3)).astype("float32") * 2
LABELS = np.array([[-1, 0, 2, -1, 1], [-1, -1, -1, -1, 2]])
OVERLAPS = RNG.uniform(size=(2, 5)).astype("float32")


def one_hot():
    return np.eye(4)[LABELS][..., :3]


def test_focal_loss_is_keras_of_each_class():
    expected = keras.losses.BinaryFocalCrossentropy(
        apply_class_balancing=True, from_logits=True, reduction="sum"
    )(one_hot().reshape(-1, 1), LOGITS.reshape(-1, 1))
    assert float(focal_loss(LOGITS, LABELS, OVERLAPS)) == pytest.approx(float(expected), rel=1e-5)


def test_quality_focal_loss_by_numpy():
    true = one_hot() * OVERLAPS[..., None]
    p = 1 / (1 + np.exp(-LOGITS.astype("float64")))
    expected = -((true - p) ** 2 * (true * np.log(p) + (1 - true) * np.log(1 - p))).sum()
    found = quality_focal_loss(LOGITS, LABELS, OVERLAPS)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_quality_focal_loss_ends_where_the_probability_is_the_overlap():
    logits = tf.Variable(tf.zeros([1, 1, 1]))

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = quality_focal_loss(logits, tf.constant([[0]]), tf.constant([[0.8]]))
        logits.assign_sub(5.0 * tape.gradient(loss, logits))

    for _ in range(1000):
        step()
    assert float(tf.sigmoid(logits)[0, 0, 0]) == pytest.approx(0.8, abs=0.05)


def test_no_gradient_moves_a_box_through_its_overlap():
    overlaps = tf.Variable(OVERLAPS)
    with tf.GradientTape() as tape:
        loss = quality_focal_loss(LOGITS, LABELS, overlaps)
    assert tape.gradient(loss, overlaps) is None


def test_centreness_by_hand():
    points = tf.constant([[5.0, 5], [2, 5], [2, 2], [0, 5], [-1, 5]])
    found = centreness(points, tf.constant([0.0, 0, 10, 10]))
    np.testing.assert_allclose(found, [1.0, 0.5, 0.25, 0.0, 0.0], atol=1e-6)


def test_the_normalizer_counts_points_and_has_a_floor():
    assert float(normalizer(tf.constant(LABELS))) == 4.0
    assert float(normalizer(tf.fill([3, 7], -1))) == 3.0


def test_the_normalizer_counts_over_all_replicas(two_replicas):
    def labels(context):
        place = context.replica_id_in_sync_group
        return tf.constant([[0, 1, 2, 1]] if place == 0 else [[-1, -1, -1, 0]])

    values = two_replicas.experimental_distribute_values_from_function(labels)
    found = two_replicas.run(tf.function(normalizer), args=(values,))
    assert [float(each) for each in two_replicas.experimental_local_results(found)] == [5.0, 5.0]
