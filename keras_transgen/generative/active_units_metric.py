"""Active latent units as a Keras metric, over batches and replicas."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_transgen")
class ActiveUnits(keras.metrics.Metric):
    """Number of latent units whose posterior mean varies by more than `threshold` over the data.

    The same number as `evaluation.active_units`, from sums over batches.

    Reference:
        Burda et al., "Importance Weighted Autoencoders", 2016.
    """

    def __init__(
        self, latent_dim: int, threshold: float = 0.01, name: str = "active_units", **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.latent_dim = latent_dim
        self.threshold = threshold
        self.count = self.add_variable((), "zeros", name="count")
        self.sums = self.add_variable((latent_dim,), "zeros", name="sums")
        self.squares = self.add_variable((latent_dim,), "zeros", name="squares")

    def update_state(self, posterior_means: Any) -> None:
        """Add a batch of posterior means `[batch, latent_dim]`, over all replicas together."""
        means = tf.cast(posterior_means, tf.float32)
        parts = [
            tf.cast(tf.shape(means)[0], tf.float32),
            tf.reduce_sum(means, axis=0),
            tf.reduce_sum(tf.square(means), axis=0),
        ]
        replica = tf.distribute.get_replica_context()
        if replica is not None and replica.num_replicas_in_sync > 1:
            # A variance is no mean of variances, so every replica adds what all have seen.
            parts = replica.all_reduce(tf.distribute.ReduceOp.SUM, parts)
        for variable, part in zip((self.count, self.sums, self.squares), parts):
            variable.assign(variable + part)

    def result(self) -> tf.Tensor:
        """The number of active units so far, float32."""
        count = tf.maximum(tf.convert_to_tensor(self.count), 1.0)
        mean = tf.convert_to_tensor(self.sums) / count
        variance = tf.convert_to_tensor(self.squares) / count - tf.square(mean)
        return tf.reduce_sum(tf.cast(variance > self.threshold, tf.float32))

    def get_config(self) -> dict[str, Any]:
        config = {"latent_dim": self.latent_dim, "threshold": self.threshold}
        return {**super().get_config(), **config}
