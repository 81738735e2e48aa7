"""The losses of a semi-supervised GAN against numbers found by hand, and the batches of pairs."""

import math

import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.fusion.paired_batches import NO_LABEL, paired_batches
from keras_transgen.fusion.semi_supervised_losses import (
    generated_losses,
    matching_loss,
    mean_where,
    real_losses,
    supervised_losses,
)
from keras_transgen.training.progress import Progress

# e^l is 1, 2, 3 and 1, 1, 2: sums of 6 and 4.
LOGITS = tf.constant(np.log([[1.0, 2.0, 3.0], [1.0, 1.0, 2.0]]), tf.float32)


def test_supervised_losses_are_those_of_the_real_classes_alone():
    expected = [math.log(6 / 2), math.log(4 / 2)]
    np.testing.assert_allclose(supervised_losses(LOGITS, tf.constant([1, 2])), expected, rtol=1e-6)


def test_an_example_is_real_with_the_sum_of_exponentials_against_one():
    """p(real) = sum / (sum + 1), the class "generated" having e^0."""
    np.testing.assert_allclose(real_losses(LOGITS), np.log([7 / 6, 5 / 4]), rtol=1e-6)
    np.testing.assert_allclose(generated_losses(LOGITS), np.log([7.0, 5.0]), rtol=1e-6)


def test_losses_are_those_of_a_softmax_over_one_class_more():
    logits = np.random.default_rng(0).normal(0, 3, (20, 4))
    more = np.concatenate([logits, np.zeros((20, 1))], axis=1)
    probabilities = np.exp(more) / np.exp(more).sum(1, keepdims=True)
    found = real_losses(tf.constant(logits, tf.float32))
    np.testing.assert_allclose(found, -np.log(1 - probabilities[:, -1]), rtol=1e-4, atol=1e-6)
    found = generated_losses(tf.constant(logits, tf.float32))
    np.testing.assert_allclose(found, -np.log(probabilities[:, -1]), rtol=1e-4, atol=1e-6)


def test_large_logits_stay_finite():
    far = tf.constant([[500.0, -500.0], [-500.0, -500.0]])
    np.testing.assert_allclose(real_losses(far), [0.0, 500.0 - math.log(2)], rtol=1e-6)
    np.testing.assert_allclose(generated_losses(far), [500.0, 0.0], rtol=1e-6)


def test_gradients_push_real_examples_up_and_samples_down():
    """d real / d l = -(1 - p) softmax(l), d generated / d l = p softmax(l)."""
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(LOGITS)
        real, generated = real_losses(LOGITS), generated_losses(LOGITS)
    classes = np.array([[1, 2, 3], [1, 1, 2]]) / [[6], [4]]
    p = np.array([[6 / 7], [4 / 5]])
    np.testing.assert_allclose(tape.gradient(real, LOGITS), -(1 - p) * classes, rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(generated, LOGITS), p * classes, rtol=1e-5)


def test_matching_loss_is_the_mean_square_of_the_difference_of_means():
    real, made = tf.constant([1.0, -2.0]), tf.constant([4.0, 0.0])
    assert float(matching_loss(real, made)) == pytest.approx((9 + 4) / 2)


def test_mean_where_leaves_rows_out():
    values = tf.constant([[1.0, 2.0], [30.0, 40.0], [5.0, 6.0]])
    np.testing.assert_allclose(mean_where(values, tf.constant([1.0, 0.0, 1.0])), [3.0, 4.0])
    np.testing.assert_array_equal(mean_where(values, tf.zeros(3)), [0.0, 0.0])


def rows_of(data) -> tuple[list[np.ndarray], list[np.ndarray]]:
    batches = [(x.numpy(), y.numpy()) for x, y in data]
    return [x for x, _ in batches], [y for _, y in batches]


def test_every_example_comes_once_beside_a_labelled_one_in_its_turn():
    progress = Progress()
    every, some, labels = np.arange(10.0), np.array([100.0, 101.0, 102.0]), np.array([7, 8, 9])
    xs, ys = rows_of(paired_batches(every, some, labels, 4, progress))
    assert [len(x) for x in xs] == [8, 8, 4]
    x, y = np.concatenate(xs), np.concatenate(ys)
    np.testing.assert_array_equal(y[::2], NO_LABEL)
    np.testing.assert_array_equal(np.sort(x[::2]), every)
    np.testing.assert_array_equal(y[1::2], x[1::2] - 93)
    for turn in range(3):
        np.testing.assert_array_equal(np.sort(y[1::2][3 * turn : 3 * turn + 3]), [7, 8, 9])


def test_the_order_is_that_of_the_seed_and_the_step():
    progress = Progress()
    data = paired_batches(np.arange(20.0), np.arange(3.0), np.arange(3), 20, progress)
    (first,), _ = rows_of(data)
    (again,), _ = rows_of(data)
    np.testing.assert_array_equal(first, again)
    progress.step.assign(1)
    (later,), _ = rows_of(data)
    assert not np.array_equal(first, later)
    plain = paired_batches(np.arange(4.0), np.arange(3.0), np.arange(3), 4, progress, shuffle=False)
    np.testing.assert_array_equal(rows_of(plain)[0][0], [0, 0, 1, 1, 2, 2, 3, 0])
