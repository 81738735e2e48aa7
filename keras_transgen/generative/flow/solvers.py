"""Solvers of the ordinary differential equation that a velocity is, over equal steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_transgen.training.registry import Registry

# From the state (a tensor or a tuple of them) and the time, a float32 scalar, to its derivative.
Velocity = Callable[[Any, tf.Tensor], Any]

# By name, a function `(velocity, state, time, size)` that takes one step.
SOLVERS = Registry("solver")


@SOLVERS.register("euler")
def euler(velocity: Velocity, state: Any, time: tf.Tensor, size: tf.Tensor) -> Any:
    """One velocity a step; the error of the whole way falls as the steps' size."""
    return _moved(state, velocity(state, time), size)


@SOLVERS.register("heun")
def heun(velocity: Velocity, state: Any, time: tf.Tensor, size: tf.Tensor) -> Any:
    """The mean of the velocities at both ends of an Euler step, two a step.

    The error of the whole way falls as the square of the steps' size.

    Reference:
        Karras et al., Elucidating the design space of diffusion-based generative models, 2022.
    """
    first = velocity(state, time)
    second = velocity(_moved(state, first, size), time + size)
    mean = tf.nest.map_structure(lambda one, other: 0.5 * (one + other), first, second)
    return _moved(state, mean, size)


def integrate(
    velocity: Velocity,
    state: Any,
    steps: tf.Tensor,
    solver: str = "heun",
    start: float = 0.0,
    end: float = 1.0,
) -> Any:
    """Follow a velocity from one time to another.

    Args:
        velocity: The derivative of the state.
        state: Where it begins: a float tensor, or a tuple of them.
        steps: How many steps of equal size, an int32 scalar.
        solver: Name of the solver.
        start: Time of the beginning.
        end: Time of the end; before the beginning for the way back.

    Returns:
        The state at the end.

    Raises:
        ValueError: If there is no such solver.

    Example:
        ```python
        import tensorflow as tf
        from keras_transgen.generative.flow.solvers import integrate

        grown = integrate(lambda x, t: x, tf.constant([1.0]), tf.constant(50))
        assert abs(float(grown[0]) - 2.71828) < 1e-3
        ```
    """
    step = SOLVERS.find(solver)
    size = (end - start) / tf.cast(steps, tf.float32)

    def advanced(number: tf.Tensor, at: Any) -> tuple[tf.Tensor, Any]:
        return number + 1, step(velocity, at, start + size * tf.cast(number, tf.float32), size)

    # One step at a time: each needs what the one before it gives.
    _, state = tf.while_loop(
        lambda number, _: number < steps, advanced, (tf.constant(0), state), parallel_iterations=1
    )
    return state


def _moved(state: Any, velocity: Any, size: tf.Tensor) -> Any:
    return tf.nest.map_structure(lambda at, v: at + size * v, state, velocity)
