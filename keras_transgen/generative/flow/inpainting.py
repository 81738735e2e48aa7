"""Filling in what a mask hides: the known part follows its own straight path."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from keras_transgen.generative.flow.solvers import SOLVERS
from keras_transgen.generative.flow.straight_paths import place_at


def inpainted(
    velocity: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    known: tf.Tensor,
    hidden: tf.Tensor,
    seed: tf.Tensor,
    steps: tf.Tensor,
    rounds: tf.Tensor,
    solver: str = "heun",
) -> tf.Tensor:
    """Sample what is hidden, given what is not.

    After each step the known part is put where its own path from noise is at that time. The hidden
    part was moved without a look at it; so most steps are taken again, `rounds` times, from a place
    to which noise is added until it is as of the time before.

    Args:
        velocity: From places and one time, a scalar, to velocities.
        known: Examples `[batch, ...]`; what is hidden of them is not looked at.
        hidden: Booleans of the same shape.
        seed: Int32 `[2]`.
        steps: Steps of the solver, an int32 scalar.
        rounds: How often each step is taken, an int32 scalar of at least 1.
        solver: Name of the solver.

    Returns:
        Examples `[batch, ...]` whose known part is as given.

    Reference:
        Lugmayr et al., RePaint: inpainting using denoising diffusion probabilistic models, 2022.
    """
    step = SOLVERS.find(solver)
    size = 1.0 / tf.cast(steps, tf.float32)
    shape = tf.shape(known)

    def noise(number: tf.Tensor) -> tf.Tensor:
        drawn = tf.random.experimental.stateless_fold_in(seed, number)
        return tf.random.stateless_normal(shape, drawn)

    def advanced(number: tf.Tensor, state: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        time = size * tf.cast(number // rounds, tf.float32)
        # The last round of a step leaves it done, the others go back to where it began.
        is_last = tf.equal(number % rounds, rounds - 1)
        moved = step(velocity, state, time, size)
        after = time + size
        path = place_at(tf.fill(shape[:1], after), noise(2 * number + 1), known)
        joined = tf.where(hidden, moved, path)
        back = noised_back(joined, after, time, noise(2 * number + 2))
        return number + 1, tf.ensure_shape(tf.where(is_last, joined, back), known.shape)

    _, state = tf.while_loop(
        lambda number, _: number < steps * rounds,
        advanced,
        (tf.constant(0), tf.ensure_shape(noise(tf.constant(0)), known.shape)),
        parallel_iterations=1,
    )
    return tf.where(hidden, state, known)


def noised_back(
    place: tf.Tensor, time: tf.Tensor, earlier: tf.Tensor, noise: tf.Tensor
) -> tf.Tensor:
    """A place of one time as one of an earlier time, by noise that is added to it.

        x_s = s/t x_t + sqrt((1 - s)^2 - (s/t)^2 (1 - t)^2) noise,  s < t

    has the distribution of the paths at s, if x_t has that of the paths at t.

    Args:
        place: At `time`.
        time: t, a scalar above 0.
        earlier: s, a scalar.
        noise: Standard normal of the place's shape.
    """
    share = earlier / time
    left = tf.square(1.0 - earlier) - tf.square(share * (1.0 - time))
    return share * place + tf.sqrt(tf.maximum(left, 0.0)) * noise
