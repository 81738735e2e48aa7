"""Randomness that differs per replica and step, and is the same again after a resume."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.training.compilation import flat_layers


def whole_seed(seed: Any) -> int:
    """The seed that a public method is given, or one that `keras.utils.set_random_seed` fixes.

    Args:
        seed: A whole number; `None` for a fresh one.

    Raises:
        ValueError: It is neither.
    """
    if seed is None:
        return int(np.asarray(keras.random.SeedGenerator().state)[0])
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise ValueError(f"seed must be a whole number or None. Received: seed={seed!r}")
    return int(seed)


def as_int64(seed: int) -> int:
    """The whole number of 64 bits with the lowest bits of a seed, which is most often itself."""
    return (seed + 2**63) % 2**64 - 2**63


def replica_seed(seed: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
    """The stateless seed of the current replica at a step.

    Args:
        seed: Int scalar, the run's seed.
        step: Int scalar, the step.

    Returns:
        Int32 tensor `[2]` for `tf.random.stateless_*`. Use it outside functions compiled by XLA,
        where the same seed gives other numbers.
    """
    base = tf.stack([tf.cast(seed, tf.int32), tf.constant(0)])
    replica = tf.distribute.get_replica_context()
    index = 0 if replica is None else replica.replica_id_in_sync_group
    at_step = tf.random.experimental.stateless_fold_in(base, tf.cast(step, tf.int32))
    return tf.random.experimental.stateless_fold_in(at_step, tf.cast(index, tf.int32))


@keras.saving.register_keras_serializable(package="keras_transgen")
class ReplicaSeedGenerator(keras.random.SeedGenerator):
    """A Keras seed generator whose draws differ between replicas."""

    def next(self, ordered: bool = True) -> tf.Tensor:
        """Draw the next seed, `[2]`, shifted by the replica's number."""
        seed = super().next(ordered=ordered)
        replica = tf.distribute.get_replica_context()
        if replica is None:
            return seed
        index = tf.cast(replica.replica_id_in_sync_group, seed.dtype)
        # An odd constant near 2**32 / golden ratio keeps neighbouring replicas' seeds apart.
        return seed + tf.stack([index * tf.constant(0x1E3779B9, seed.dtype), tf.zeros_like(index)])


def spread_seed_generators(model: keras.Model) -> int:
    """Let the dropout and other stochastic layers of a model draw differently on each replica.

    The state that Keras tracks and saves stays where it is; only the class of each generator
    changes, since layers offer no way to hand another generator in once they are built.

    Args:
        model: A built model.

    Returns:
        How many generators now differ between replicas.
    """
    spread = 0
    for layer in [model, *flat_layers(model)]:
        for value in vars(layer).values():
            if isinstance(value, keras.random.SeedGenerator):
                value.__class__ = ReplicaSeedGenerator
                spread += 1
    return spread


def seed_states(model: keras.Model) -> list[keras.Variable]:
    """The states of all seed generators of a model, in a stable order.

    `save_weights` leaves them out, and without them dropout after a resume draws other masks.
    """
    return [variable for variable in model.variables if variable.name == "seed_generator_state"]
