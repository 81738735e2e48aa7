"""Noise differs per replica and step, and is the same again for the same seed and step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.sequences.decoding.uniforms import uniform_rows
from keras_transgen.training.replica_noise import (
    ReplicaSeedGenerator,
    replica_seed,
    spread_seed_generators,
    whole_seed,
)


def draws(strategy, steps) -> np.ndarray:
    """Noise by step and replica."""

    def draw(step):
        seed = replica_seed(tf.constant(7), step)
        return tf.random.stateless_normal([4], seed)

    run = tf.function(lambda step: strategy.run(draw, args=(step,)))
    return np.array(
        [
            [value.numpy() for value in strategy.experimental_local_results(run(tf.constant(step)))]
            for step in steps
        ]
    )


def test_replica_and_step_each_change_the_noise(two_replicas):
    noise = draws(two_replicas, [0, 1, 2])
    flat = noise.reshape(6, 4)
    distances = np.abs(flat[:, None] - flat[None]).max(-1) + np.eye(6)
    assert distances.min() > 1e-3
    np.testing.assert_array_equal(noise, draws(two_replicas, [0, 1, 2]))


def test_the_first_replica_draws_what_one_alone_draws(two_replicas):
    alone = draws(tf.distribute.get_strategy(), [0, 1])
    np.testing.assert_array_equal(draws(two_replicas, [0, 1])[:, 0], alone[:, 0])


def test_dropout_masks_differ_between_replicas(two_replicas):
    with two_replicas.scope():
        network = keras.Sequential([keras.Input((64,)), keras.layers.Dropout(0.5, seed=3)])
        model = keras.Sequential([network])

    def masks():
        run = tf.function(lambda: two_replicas.run(lambda: model(tf.ones((1, 64)), training=True)))
        return [value.numpy() for value in two_replicas.experimental_local_results(run())]

    first, second = masks()
    np.testing.assert_array_equal(first, second)  # Keras' own behaviour, and the reason for ours
    assert spread_seed_generators(model) == 1
    assert isinstance(network.layers[0].seed_generator, ReplicaSeedGenerator)
    first, second = masks()
    assert 10 < (first != second).sum() < 54
    assert abs((first == 0).mean() - 0.5) < 0.25


@pytest.mark.slow
def test_fresh_seeds_are_fixed_by_keras_and_given_ones_are_whole():
    drawn = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        drawn.append([uniform_rows(2, 4, None) for _ in range(2)])
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert np.abs(drawn[0][0] - drawn[0][1]).max() > 0.01
    assert whole_seed(np.int64(7)) == 7
    for wrong in (1.5, True, "7"):
        with pytest.raises(ValueError, match=r"seed must be a whole number or None\. Received"):
            whole_seed(wrong)
