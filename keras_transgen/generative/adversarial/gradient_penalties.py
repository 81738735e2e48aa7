"""Penalties on the slope of the discriminator's logit over its input."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_transgen.training.registry import Registry

# Without it the root's slope at a gradient of zero is infinite.
_UNDER_THE_ROOT = 1e-12

Score = Callable[[tf.Tensor], tf.Tensor]
GradientPenalty = Callable[[Score, tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]

GRADIENT_PENALTIES = Registry("gradient_penalty")


def squared_slopes(score: Score, examples: tf.Tensor) -> tf.Tensor:
    """Squared Euclidean norm of each logit's gradient by its example.

    Args:
        score: From examples to logits `[batch]`.
        examples: `[batch, ...]`.

    Returns:
        Float32 `[batch]`.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(examples)
        total = tf.reduce_sum(score(examples))
    gradients = tf.cast(tape.gradient(total, examples), tf.float32)
    return tf.reduce_sum(gradients**2, axis=list(range(1, len(gradients.shape))))


@GRADIENT_PENALTIES.register("wgan_gp")
def wgan_gp(score: Score, real: tf.Tensor, fake: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    """Squared distance of the slope from 1, on lines between real examples and samples.

    Args:
        score: From examples to logits `[batch]`.
        real: Real examples `[batch, ...]`.
        fake: Samples `[batch, ...]`.
        position: Uniform numbers in [0, 1], `[batch]`: where on its line each point lies.

    Returns:
        Mean over the batch.

    Reference:
        Gulrajani et al., Improved training of Wasserstein GANs, 2017.
    """
    position = tf.reshape(position, [-1] + [1] * (len(real.shape) - 1))
    between = real + position * (fake - real)
    norm = tf.sqrt(squared_slopes(score, between) + _UNDER_THE_ROOT)
    return tf.reduce_mean((norm - 1.0) ** 2)


@GRADIENT_PENALTIES.register("r1")
def r1(score: Score, real: tf.Tensor, fake: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    """Half the squared slope at real examples.

    Args:
        score: From examples to logits `[batch]`.
        real: Real examples `[batch, ...]`.
        fake: Not used.
        position: Not used.

    Returns:
        Mean over the batch.

    Reference:
        Mescheder, Geiger and Nowozin, Which training methods for GANs do actually converge?, 2018.
    """
    return 0.5 * tf.reduce_mean(squared_slopes(score, real))


@GRADIENT_PENALTIES.register("r2")
def r2(score: Score, real: tf.Tensor, fake: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    """Half the squared slope at samples.

    Args:
        score: From examples to logits `[batch]`.
        real: Not used.
        fake: Samples `[batch, ...]`.
        position: Not used.

    Returns:
        Mean over the batch.

    Reference:
        Mescheder, Geiger and Nowozin, Which training methods for GANs do actually converge?, 2018.
    """
    return 0.5 * tf.reduce_mean(squared_slopes(score, fake))


def gradient_penalty(penalty: Any) -> GradientPenalty | None:
    """Find a penalty by name, or take a callable of the same arguments.

    Args:
        penalty: A name of the registry, a callable `(score, real, fake, position)` or `None`.

    Returns:
        The function, or `None`.

    Raises:
        ValueError: If it is none of these.
    """
    if callable(penalty):
        return _mean_of(penalty)
    if penalty is None:
        return None
    return GRADIENT_PENALTIES.find(penalty, ", None or a callable of (score, real, fake, position)")


def _mean_of(function: GradientPenalty) -> GradientPenalty:
    """A user's function must say one number."""

    @functools.wraps(function)
    def penalty(*arguments: Any) -> tf.Tensor:
        found = function(*arguments)
        if tuple(found.shape):
            raise ValueError(
                "A gradient penalty must return its mean over the batch, a scalar. Take "
                f"tf.reduce_mean of it. Received: a value of shape {tuple(found.shape)}"
            )
        return found

    return penalty
