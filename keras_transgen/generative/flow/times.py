"""The times at which a flow is trained."""

from __future__ import annotations

import tensorflow as tf

from keras_transgen.training.registry import Registry

# By name, a function `(count, seed)` that draws float32 times `[count]` in [0, 1]; `seed` is int32
# `[2]` for `tf.random.stateless_*`.
TIMES = Registry("times")


@TIMES.register("uniform")
def uniform(count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Every time as often as every other."""
    return tf.random.stateless_uniform([count], seed)


@TIMES.register("logit_normal")
def logit_normal(count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The sigmoid of a standard normal number: the middle of the path more often than its ends.

    At time 0 and 1 the best velocity is known from the mean of the data and from the place alone;
    what is hard to learn lies between.

    Reference:
        Esser et al., Scaling rectified flow transformers for high-resolution image synthesis, 2024.
    """
    return tf.sigmoid(tf.random.stateless_normal([count], seed))
