"""The moving average of weights against the recursion written out."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.generative.moving_average import MovingAverage


def layer() -> keras.layers.Layer:
    dense = keras.layers.Dense(1, kernel_initializer="ones")
    dense.build((None, 2))
    return dense


def test_follows_the_recursion_with_its_warm_up():
    dense = layer()
    average = MovingAverage([dense], decay=0.3)
    expected = 1.0
    for step, value in enumerate([5.0, -2.0, 3.0, 0.5, 7.0]):
        dense.kernel.assign([[value]] * 2)
        average.update(tf.constant(step))
        decay = min(0.3, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
        np.testing.assert_allclose(average.averages[0], [[expected]] * 2, rtol=1e-6)


def test_computes_with_the_averages_and_leaves_the_weights():
    dense = layer()
    average = MovingAverage([dense])
    dense.kernel.assign([[4.0], [4.0]])
    with average.in_place():
        assert float(dense(np.ones((1, 2)))[0, 0]) == 2.0
    assert float(dense(np.ones((1, 2)))[0, 0]) == 8.0


def test_moving_statistics_are_followed_and_shared_weights_once():
    dense, normalization = layer(), keras.layers.BatchNormalization()
    normalization.build((None, 2))
    average = MovingAverage([dense, normalization, dense])
    assert len(average.averages) == 2 + 4
    assert not average.trainable_weights
    assert len(average.weights) == 6
    other = keras.Variable(1.0)
    found = average.of([normalization.moving_mean, other])
    assert found[0] is average.averages[4]
    assert found[1] is other


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_wrong_decay(decay):
    with pytest.raises(ValueError, match="ema_decay"):
        MovingAverage([layer()], decay)
