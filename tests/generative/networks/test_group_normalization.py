"""One pass gives what Keras' two passes and NumPy give, its gradients too."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.generative.networks.group_normalization import (
    GroupNormalization,
    group_normalization,
)
from tests.harness import LAYER_CHECKS, LayerCase

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(2.0, 3.0, (12, 4, 5, 6)).astype("float32")
CASE = LayerCase(make=lambda: GroupNormalization(3), inputs=IMAGES)


@pytest.mark.parametrize("check", LAYER_CHECKS)
def test_layer(check, tools):
    check(CASE, tools)


@pytest.mark.parametrize("shape", [(4, 5, 6), (7, 6), (6,)])
@pytest.mark.parametrize("affine", [True, False])
def test_outputs_and_gradients_are_keras_own(shape, affine):
    x = tf.constant(RNG.normal(2.0, 3.0, (8, *shape)).astype("float32"))
    weight = RNG.normal(size=(8, *shape)).astype("float32")
    found = []
    for layer_class in (GroupNormalization, keras.layers.GroupNormalization):
        layer = layer_class(3, epsilon=1e-3, center=affine, scale=affine)
        layer.build(x.shape)
        for each in layer.weights:
            each.assign(np.linspace(0.5, 2.0, 6))
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
            total = tf.reduce_sum(y * weight)
        watched = [x, *(each.value for each in layer.trainable_weights)]
        found.append([y, *tape.gradient(total, watched)])
    for one, other in zip(*found):
        np.testing.assert_allclose(one, other, atol=2e-4)


def test_mean_and_deviation_of_a_group_in_numpy():
    y = np.asarray(GroupNormalization(2, epsilon=1e-5)(IMAGES)).reshape(12, 20, 2, 3)
    x = IMAGES.astype("float64").reshape(12, 20, 2, 3)
    wanted = (x - x.mean((1, 3), keepdims=True)) / np.sqrt(x.var((1, 3), keepdims=True) + 1e-5)
    np.testing.assert_allclose(y, wanted, atol=1e-5)


def test_constant_inputs_and_means_a_hundred_times_the_deviation():
    constant = np.full((2, 4, 4, 6), 7.3, "float32")
    # What rounding leaves of a variance of zero is divided by the root of epsilon.
    np.testing.assert_allclose(GroupNormalization(3)(constant), 0.0, atol=1e-3)
    far = IMAGES / 3.0 + 100.0
    expected = keras.layers.GroupNormalization(3)(far)
    np.testing.assert_allclose(GroupNormalization(3)(far), expected, atol=2e-2)


def test_another_axis_goes_keras_way_and_groups_divide_the_channels():
    expected = keras.layers.GroupNormalization(2, axis=1)(IMAGES)
    np.testing.assert_array_equal(GroupNormalization(2, axis=1)(IMAGES), expected)
    assert [group_normalization(each).groups for each in (64, 12, 9)] == [8, 4, 1]
