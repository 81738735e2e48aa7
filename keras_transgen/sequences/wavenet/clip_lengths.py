"""How long clips are: where a sample that nobody gives a length ends."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import scipy.special
import tensorflow as tf

# What a group has of all, so that one of few clips has a spread.
_SHARED = 1.0
_SMALLEST_DEVIATION = 0.01
# Drawn lengths lie within so many deviations, as nearly all of those seen do.
_WIDEST = 2.0


class ClipLengths(keras.layers.Layer):
    """The logarithm of a clip's length, normally distributed in each group of clips.

    Mean and variance have maximum likelihood over all clips that were trained on: their sums are
    counted step by step, on all replicas together.

    Args:
        groups: How many there are: one for each class of each speaker.
        **kwargs: As in `keras.layers.Layer`.
    """

    def __init__(self, groups: int, **kwargs: Any) -> None:
        super().__init__(trainable=False, **kwargs)
        # By group: how many clips, the sum of their logarithms of seconds, and that of squares.
        self.sums = self.add_weight(
            name="sums",
            shape=(groups, 3),
            initializer="zeros",
            trainable=False,
            dtype="float32",
            aggregation="only_first_replica",
        )
        self.built = True

    def count(self, groups: tf.Tensor, seconds: tf.Tensor) -> None:
        """Count a replica's clips; called in a step.

        Args:
            groups: int32 `[batch]`.
            seconds: `[batch]`.
        """
        logs = tf.math.log(seconds)
        values = tf.stack([tf.ones_like(logs), logs, logs * logs], axis=1)
        table = tf.one_hot(groups, self.sums.shape[0])
        new = tf.matmul(table, values, transpose_a=True)
        replica = tf.distribute.get_replica_context()
        if replica is not None and replica.num_replicas_in_sync > 1:
            new = replica.all_reduce(tf.distribute.ReduceOp.SUM, new)
        self.sums.assign(self.sums.value + new)

    @property
    def has_counted(self) -> bool:
        """Whether any clip was trained on."""
        return bool(np.asarray(self.sums.numpy())[:, 0].sum() > 0)

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of the logarithm of seconds, float64 `[groups]` each."""
        sums = np.asarray(self.sums.numpy(), "float64")
        of_all = sums.sum(axis=0) / sums[:, 0].sum()
        count, total, squares = (sums + _SHARED * of_all).T
        mean = total / count
        return mean, np.sqrt(np.maximum(squares / count - mean**2, _SMALLEST_DEVIATION**2))

    def draw(self, groups: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """Seconds by the inverse of the distribution function.

        Args:
            groups: Ints `[count]`.
            uniform: `[count]` in [0, 1).
        """
        mean, deviation = self.moments()
        low, high = scipy.special.ndtr([-_WIDEST, _WIDEST])
        normal = scipy.special.ndtri(low + (high - low) * uniform)
        return np.exp(mean[groups] + deviation[groups] * normal)
