"""LowRank: nothing changes at first, W + A B after, through every layer it wraps."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.fusion.low_rank import LowRank
from keras_transgen.generative.moving_average import MovingAverage
from tests.harness import (
    LayerCase,
    check_layer_config_round_trip,
    check_symbolic_equals_eager_shape,
)

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(6, 6, 6, 3)).astype("float32")
LAYERS = {
    "dense": (lambda: keras.layers.Dense(7, activation="tanh"), IMAGES[:, 0, 0]),
    "convolution": (lambda: keras.layers.Conv2D(4, 3, strides=2), IMAGES),
    "transposed": (lambda: keras.layers.Conv2DTranspose(4, 4, strides=2, padding="same"), IMAGES),
}


@pytest.mark.parametrize("name", LAYERS)
def test_computes_with_the_sum(name):
    make, inputs = LAYERS[name]
    wrapped = LowRank(make(), rank=2)
    wrapped.build(inputs.shape)
    plain = make()
    plain.build(inputs.shape)
    plain.set_weights(wrapped.layer.get_weights())
    np.testing.assert_allclose(wrapped(inputs), plain(inputs), atol=1e-6)
    wrapped.up.assign(RNG.normal(size=wrapped.up.shape))
    change = wrapped.down.numpy() @ wrapped.up.numpy()
    kernel = plain.kernel.numpy() + change.reshape(plain.kernel.shape)
    plain.set_weights([kernel, RNG.normal(size=plain.bias.shape)])
    wrapped.layer.bias.assign(plain.bias)
    np.testing.assert_allclose(wrapped(inputs), plain(inputs), atol=1e-5)
    assert [weight.name for weight in wrapped.trainable_weights] == ["down", "up"]


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(
    "check", [check_layer_config_round_trip, check_symbolic_equals_eager_shape]
)
def test_layer(name, check, tools):
    make, inputs = LAYERS[name]
    check(LayerCase(lambda: LowRank(make(), rank=2), inputs), tools)


def test_an_average_of_all_weights_is_seen_inside():
    """The moving average swaps values in from outside; bias and kernel must both follow."""
    layer = LowRank(keras.layers.Dense(3), rank=2)
    layer.build((None, 4))
    average = MovingAverage([layer], 0.5)
    for weight in layer.weights:
        weight.assign(RNG.normal(size=weight.shape))
    inputs = RNG.normal(size=(5, 4)).astype("float32")
    values = {w.name: a.numpy() for w, a in zip(layer.weights, average.averages)}
    expected = inputs @ (values["kernel"] + values["down"] @ values["up"]) + values["bias"]
    with average.in_place():
        found = layer(inputs)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(layer(inputs) - expected).max() > 0.1


@pytest.mark.slow
def test_xla_computes_the_same():
    make, inputs = LAYERS["transposed"]
    layer = LowRank(make(), rank=2)
    layer.build(inputs.shape)
    layer.up.assign(RNG.normal(size=layer.up.shape))
    compiled = tf.function(layer, jit_compile=True)
    np.testing.assert_allclose(compiled(inputs), layer(inputs), rtol=1e-4, atol=1e-4)


def test_rank_is_at_most_the_kernels():
    layer = LowRank(keras.layers.Dense(3), rank=8)
    layer.build((None, 2))
    assert layer.down.shape == (2, 2)


def test_what_is_added_to_stays_frozen_whatever_the_flag():
    model = keras.Sequential([keras.Input((2,)), LowRank(keras.layers.Dense(3), rank=1)])
    before = [weight.path for weight in model.trainable_weights]
    model.trainable = False
    assert model.trainable_weights == []
    model.trainable = True
    assert [weight.path for weight in model.trainable_weights] == before
    assert [path.rsplit("/")[-1] for path in before] == ["down", "up"]


def test_refuses():
    with pytest.raises(ValueError, match="Received: layer of type ReLU"):
        LowRank(keras.layers.ReLU())
    with pytest.raises(ValueError, match="Received: rank=0"):
        LowRank(keras.layers.Dense(3), rank=0)
