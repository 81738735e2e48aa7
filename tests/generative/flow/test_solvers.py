"""Solvers against the exponential function and against a rotation."""

import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.generative.flow.solvers import SOLVERS, integrate


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2)])
def test_order_of_the_error(solver, order):
    errors = []
    for steps in (20, 40):
        grown = integrate(lambda x, t: x, tf.constant([1.0]), steps, solver)
        errors.append(abs(float(grown[0]) - np.e))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)


def test_time_is_that_of_the_step():
    """x' = 2 t: Heun's trapezium is exact, and Euler lacks the last step's share."""
    state = tf.constant([0.0])
    assert float(integrate(lambda x, t: 2 * t + 0 * x, state, 4, "heun")[0]) == pytest.approx(1.0)
    assert float(integrate(lambda x, t: 2 * t + 0 * x, state, 4, "euler")[0]) == pytest.approx(0.75)


def test_back_and_a_state_of_parts():
    def rotation(state, time):
        x, y = state
        return -y, x

    x, y = integrate(rotation, (tf.constant([1.0]), tf.constant([0.0])), 200, "heun")
    assert (float(x[0]), float(y[0])) == pytest.approx((np.cos(1), np.sin(1)), abs=1e-4)
    x, y = integrate(rotation, (x, y), 200, "heun", 1.0, 0.0)
    assert (float(x[0]), float(y[0])) == pytest.approx((1.0, 0.0), abs=1e-4)


@pytest.mark.slow
def test_a_solver_of_ones_own():
    @SOLVERS.register("midpoint")
    def midpoint(velocity, state, time, size):
        half = state + 0.5 * size * velocity(state, time)
        return state + size * velocity(half, time + 0.5 * size)

    try:
        grown = integrate(lambda x, t: x, tf.constant([1.0]), 100, "midpoint")
        assert float(grown[0]) == pytest.approx(np.e, abs=1e-3)
    finally:
        del SOLVERS["midpoint"]
    with pytest.raises(ValueError, match="solver must be one of"):
        integrate(lambda x, t: x, tf.constant([1.0]), 2, "midpoint")
