"""Gradient penalties of discriminators whose gradients are known."""

import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.generative.adversarial.gradient_penalties import (
    GRADIENT_PENALTIES,
    gradient_penalty,
    squared_slopes,
)

WEIGHTS = tf.constant([3.0, 4.0])
REAL = tf.constant([[1.0, 2.0], [0.0, -1.0]])
FAKE = tf.constant([[2.0, 0.0], [4.0, 3.0]])
POSITION = tf.constant([0.25, 0.5])


def linear(x):
    return tf.linalg.matvec(x, WEIGHTS)


def quadratic(x):
    # The gradient is x itself.
    return 0.5 * tf.reduce_sum(x**2, axis=1)


def value(name, score):
    return float(GRADIENT_PENALTIES[name](score, REAL, FAKE, POSITION))


def test_a_linear_score_has_its_slope_everywhere():
    """|(3, 4)| = 5."""
    assert value("r1", linear) == pytest.approx(12.5)
    assert value("r2", linear) == pytest.approx(12.5)
    assert value("wgan_gp", linear) == pytest.approx(16.0, rel=1e-5)


def test_where_the_slope_is_taken():
    assert value("r1", quadratic) == pytest.approx(0.5 * (5 + 1) / 2)
    assert value("r2", quadratic) == pytest.approx(0.5 * (4 + 25) / 2)
    # A quarter and a half of the way: (1.25, 1.5) and (2, 1).
    norms = np.sqrt([1.25**2 + 1.5**2, 5.0])
    assert value("wgan_gp", quadratic) == pytest.approx(np.mean((norms - 1) ** 2), rel=1e-5)


def test_per_example_slopes_of_images():
    images = tf.reshape(tf.range(8, dtype=tf.float32), [2, 2, 2, 1])
    slopes = squared_slopes(lambda x: 0.5 * tf.reduce_sum(x**2, axis=[1, 2, 3]), images)
    np.testing.assert_allclose(slopes, [0 + 1 + 4 + 9, 16 + 25 + 36 + 49])


def test_a_flat_score_has_a_finite_second_gradient():
    """The root of a zero gradient has an infinite slope without an epsilon under it."""
    weight = tf.Variable(0.0)
    with tf.GradientTape() as tape:
        penalty = GRADIENT_PENALTIES["wgan_gp"](
            lambda x: weight * tf.reduce_sum(x, axis=1), REAL, FAKE, POSITION
        )
    assert np.isfinite(tape.gradient(penalty, weight))
    assert float(penalty) == pytest.approx(1.0, abs=1e-5)


def test_a_step_down_the_penalty_lowers_the_slope():
    weight = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        penalty = GRADIENT_PENALTIES["r1"](
            lambda x: weight * tf.reduce_sum(x, axis=1), REAL, FAKE, POSITION
        )
    # 0.5 * |(w, w)|^2 = w^2.
    assert float(tape.gradient(penalty, weight)) == pytest.approx(4.0)


def test_names_and_callables():
    assert gradient_penalty(None) is None
    assert gradient_penalty("r1") is GRADIENT_PENALTIES["r1"]
    assert gradient_penalty(linear).__wrapped__ is linear
    with pytest.raises(ValueError, match="'gp'"):
        gradient_penalty("gp")


def test_a_penalty_for_each_example_is_refused():
    import keras_transgen as ktg

    gan = ktg.GAN((6,), 4, filters=4, gradient_penalty=lambda score, real, fake, at: score(real))
    with pytest.raises(ValueError, match="mean over the batch"):
        gan.fit(np.zeros((8, 6), "float32") - 0.5, verbose=0)
