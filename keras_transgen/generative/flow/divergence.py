"""The divergence of a velocity, which says how a flow thins or thickens a density."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from keras_transgen.training.registry import Registry

# Up to so many values in an example the divergence is computed exactly by default.
MOST_VALUES_EXACT = 64


class Probes(NamedTuple):
    """Vectors that the Jacobian is asked with.

    Attributes:
        number: How many.
        probe: From the place in their order to a probe for each example, `[batch, *shape]`.
        divisor: What the sum over them is divided by.
    """

    number: int
    probe: Callable[[tf.Tensor], tf.Tensor]
    divisor: float


# By name, a function `(example_shape, noise)` to `Probes`; `noise` is uniform in [0, 1), of shape
# `[probes, batch, *example_shape]`.
DIVERGENCES = Registry("divergence")


@DIVERGENCES.register("exact")
def basis_probes(example_shape: tuple[int, ...], noise: tf.Tensor) -> Probes:
    """One probe a value of an example: the trace of the Jacobian itself, whatever the noise."""
    values, size = math.prod(example_shape), tf.shape(noise)[1]

    def probe(number: tf.Tensor) -> tf.Tensor:
        one = tf.reshape(tf.one_hot(number, values), [1, *example_shape])
        return tf.repeat(one, size, axis=0)

    return Probes(values, probe, 1.0)


@DIVERGENCES.register("hutchinson")
def random_probes(example_shape: tuple[int, ...], noise: tf.Tensor) -> Probes:
    """Vectors of random signs: an unbiased estimate of the trace.

    Reference:
        Hutchinson, A stochastic estimator of the trace of the influence matrix, 1989; Grathwohl et
        al., FFJORD, 2019.
    """
    signs = tf.where(noise < 0.5, -1.0, 1.0)
    count = int(noise.shape[0])
    return Probes(count, lambda number: signs[number], float(count))


def with_divergence(
    velocity: Callable[[tf.Tensor], tf.Tensor], place: tf.Tensor, probes: Probes
) -> tuple[tf.Tensor, tf.Tensor]:
    """A velocity and its divergence at places.

        div v = sum over probes u of u . (dv/dx) u / divisor

    Args:
        velocity: From places `[batch, ...]` to velocities; each row's depends on its own place.
        place: `[batch, ...]`.
        probes: What the Jacobian is asked with.

    Returns:
        Velocities `[batch, ...]` and divergences `[batch]`.
    """
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(place)
        speed = velocity(place)

    # Products of the Jacobian's transpose with probes: one forward pass serves them all.
    def added(number: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        probe = probes.probe(number)
        product = tape.gradient(
            speed, place, probe, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return number + 1, total + sum_of_values(product * probe)

    _, total = tf.while_loop(
        lambda number, _: number < probes.number,
        added,
        (tf.constant(0), tf.zeros(tf.shape(place)[:1])),
        parallel_iterations=1,
    )
    return speed, total / probes.divisor


def sum_of_values(values: tf.Tensor) -> tf.Tensor:
    """Sums over all but the first axis."""
    return tf.reduce_sum(values, axis=list(range(1, values.shape.rank)))
