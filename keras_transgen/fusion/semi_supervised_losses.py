"""Losses of a classifier that also tells real examples from generated ones."""

from __future__ import annotations

import tensorflow as tf


def mean_where(values: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
    """Mean over the rows that count, zero where none does.

    Args:
        values: `[batch, ...]`.
        counts: Float `[batch]`, 1 for rows that count and 0 for others.

    Returns:
        Of the shape of a row.
    """
    rows = tf.reshape(counts, [-1] + [1] * (len(values.shape) - 1))
    return tf.math.divide_no_nan(tf.reduce_sum(values * rows, axis=0), tf.reduce_sum(counts))


def supervised_losses(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of each example's class among the K real ones: logsumexp(l) - l[y].

    Args:
        logits: Class logits `[batch, num_classes]`.
        labels: Integers `[batch]`; where there is no label any class.

    Returns:
        Float32 `[batch]`, nats.
    """
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


def real_losses(logits: tf.Tensor) -> tf.Tensor:
    """-log p(real) of each example, the class "generated" having the logit 0.

    With Z = logsumexp(l) over the K classes, p(real) = e^Z / (e^Z + 1) = sigmoid(Z).

    Args:
        logits: Class logits `[batch, num_classes]`.

    Returns:
        Float32 `[batch]`, softplus(Z) - Z, nats.

    Reference:
        Salimans et al., Improved techniques for training GANs, 2016.
    """
    real = tf.reduce_logsumexp(logits, axis=-1)
    return tf.nn.softplus(-real)


def generated_losses(logits: tf.Tensor) -> tf.Tensor:
    """-log p(generated) of each example, softplus(Z); as `real_losses`."""
    return tf.nn.softplus(tf.reduce_logsumexp(logits, axis=-1))


def matching_loss(real: tf.Tensor, generated: tf.Tensor) -> tf.Tensor:
    """Feature matching: mean over features of the squared difference of two mean features.

    Args:
        real: Mean feature of real examples, `[features]`.
        generated: Mean feature of generated ones, `[features]`.

    Returns:
        A scalar.
    """
    return tf.reduce_mean(tf.math.squared_difference(generated, real))
