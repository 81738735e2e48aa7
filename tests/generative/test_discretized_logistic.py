"""The discretised logistic against SciPy in float64, its sums, and its draws."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from keras_transgen.generative.discretized_logistic import DiscretizedLogistic

CASES = [(0.5, 0.1, 256), (0.02, 0.05, 256), (-0.3, 0.08, 256), (1.0, 0.02, 8), (0.4, 0.5, 2)]


def masses(loc, scale, levels):
    """P(level) in float64 from SciPy's logistic, edges included."""
    values = np.linspace(0, 1, levels)
    half = 0.5 / (levels - 1)
    upper = scipy.stats.logistic.cdf(values + half, loc, scale)
    lower = scipy.stats.logistic.cdf(values - half, loc, scale)
    upper[-1], lower[0] = 1.0, 0.0
    return values, upper - lower


@pytest.mark.parametrize(("loc", "scale", "levels"), CASES)
def test_masses(loc, scale, levels):
    values, expected = masses(loc, scale, levels)
    actual = DiscretizedLogistic(loc, scale, levels).prob(values.astype("float32")).numpy()
    np.testing.assert_allclose(actual, expected, rtol=2e-3, atol=1e-8)
    assert actual.sum(dtype="float64") == pytest.approx(1.0, abs=1e-4)


def test_far_tails_keep_their_logarithm():
    """Where both distribution functions round to 1, their difference would be log(0)."""
    log_prob = float(DiscretizedLogistic(0.1, 0.005).log_prob(0.9))
    half = 0.5 / 255
    expected = (
        scipy.stats.logistic.logsf(0.9 - half, 0.1, 0.005)
        + np.log1p(-np.exp(-2 * half / 0.005))
        + scipy.stats.logistic.logcdf(0.9 + half, 0.1, 0.005)
    )
    assert log_prob == pytest.approx(expected, rel=1e-4)
    assert log_prob < -150


def test_gradients_are_finite_at_every_level():
    loc, scale = tf.Variable(0.3), tf.Variable(0.01)
    values = np.linspace(0, 1, 256).astype("float32")
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(DiscretizedLogistic(loc, scale).log_prob(values))
    assert all(np.isfinite(gradient) for gradient in tape.gradient(total, [loc, scale]))


@pytest.mark.parametrize(("loc", "scale", "levels"), CASES)
def test_mean(loc, scale, levels):
    values, expected = masses(loc, scale, levels)
    mean = DiscretizedLogistic(loc, scale, levels).mean()
    assert float(mean) == pytest.approx(float(values @ expected), abs=1e-4)


def test_draws_have_the_masses():
    draws = DiscretizedLogistic([0.3, 0.9], 0.2, 5).sample(20_000, seed=[1, 2]).numpy()
    assert draws.shape == (20_000, 2)
    for column, loc in zip(draws.T, (0.3, 0.9)):
        values, expected = masses(loc, 0.2, 5)
        counts = [np.mean(np.isclose(column, value)) for value in values]
        assert sum(counts) == pytest.approx(1.0)
        np.testing.assert_allclose(counts, expected, atol=0.02)


def test_shapes():
    distribution = DiscretizedLogistic(np.zeros((3, 1), "float32"), np.ones(2, "float32"))
    assert distribution.batch_shape == (3, 2)
    assert distribution.event_shape == ()
    assert distribution.sample(4, seed=[0, 0]).shape == (4, 3, 2)
