"""Bounds by interval arithmetic: no value lies outside, and finite ones are reached."""

import keras
import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.training.last_activation import output_bounds

ops = keras.ops
ENDS = {
    "sigmoid by hand": (lambda x: 1.0 / (1.0 + ops.exp(-x)), (0.0, 1.0)),
    "half a tanh": (lambda x: 0.5 * ops.tanh(x) + 0.5, (0.0, 1.0)),
    "sigmoid stretched": (lambda x: ops.sigmoid(x) * 2.0 - 1.0, (-1.0, 1.0)),
    "bytes": (lambda x: ops.tanh(x) * 127.5 + 127.5, (0.0, 255.0)),
    "capped": (lambda x: 30.0 * ops.tanh(x / 30.0), (-30.0, 30.0)),
    "softsign by hand": (lambda x: ops.sigmoid(x) - ops.sigmoid(-x), (-1.0, 1.0)),
    "clipped": (lambda x: ops.minimum(ops.maximum(x, -2.0), 3.0), (-2.0, 3.0)),
    "squares": (lambda x: ops.square(ops.tanh(x)), (0.0, 1.0)),
    "share": (lambda x: ops.square(x) / (1e-3 + ops.square(x)), (0.0, np.inf)),
    "positive": (lambda x: ops.abs(x) + 1.0, (1.0, np.inf)),
    "nothing": (lambda x: x * 3.0, (-np.inf, np.inf)),
    "inverse": (lambda x: 1.0 / (2.0 + ops.tanh(x)), (1 / 3, 1.0)),
}


class Ended(keras.layers.Layer):
    def __init__(self, end, units=3):
        super().__init__()
        self.dense = keras.layers.Dense(units)
        self.end = end

    def build(self, input_shape):
        self.dense.build(input_shape)
        self.built = True

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.dense.units)

    def call(self, x):
        return self.end(self.dense(x))


@pytest.mark.parametrize("name", ENDS)
def test_bounds(name):
    end, expected = ENDS[name]
    network = keras.Sequential([keras.Input((4,)), Ended(end)])
    [(low, high)] = output_bounds(network)
    np.testing.assert_allclose((low, high), expected, rtol=1e-6, atol=1e-6)
    values = np.asarray(network(50 * np.random.default_rng(0).normal(size=(500, 4))))
    assert values.min() >= low - 1e-5 * abs(low)
    assert values.max() <= high * (1 + 1e-5)
    # Bounds that are both finite are reached.
    if np.isfinite([low, high]).all():
        assert values.max() - values.min() > 0.9 * (high - low)


def test_many_ways_to_one_value_are_gone_once():
    def long(x):
        for _ in range(60):
            x = (x - ops.mean(x, axis=-1, keepdims=True)) * x + x
        return x

    [bounds] = output_bounds(keras.Sequential([keras.Input((4,)), Ended(long)]))
    assert bounds == (-np.inf, np.inf)
    ended = Ended(lambda x: ops.tanh(long(x)) + ops.sigmoid(x))
    assert output_bounds(keras.Sequential([keras.Input((4,)), ended])) == [(-1.0, 2.0)]


@pytest.mark.parametrize("name", ["sigmoid by hand", "half a tanh", "squares", "inverse"])
def test_heads_of_probabilities_by_hand(name):
    with pytest.raises(ValueError, match=r"must give logits.*bounded by"):
        ktg.TransferModel("digits", 3, head=Ended(ENDS[name][0]))


@pytest.mark.parametrize("name", ["capped", "nothing", "positive", "bytes"])
def test_heads_that_stay(name):
    ktg.TransferModel("digits", 3, head=Ended(ENDS[name][0]))


def player(end, shape_in, shape_out):
    units = int(np.prod(shape_out))
    layers = [keras.Input(shape_in), keras.layers.Flatten(), Ended(end, units)]
    return keras.Sequential([*layers, keras.layers.Reshape(shape_out)])


@pytest.mark.parametrize("name", ["sigmoid by hand", "half a tanh", "sigmoid stretched"])
def test_discriminators_of_probabilities_by_hand(name):
    generator = player(ENDS["sigmoid stretched"][0], (4,), (6,))
    with pytest.raises(ValueError, match="discriminator must give logits"):
        ktg.GAN((6,), 4, generator=generator, discriminator=player(ENDS[name][0], (6,), (1,)))
    ktg.GAN((6,), 4, generator=generator, discriminator=player(ENDS["capped"][0], (6,), (1,)))


@pytest.mark.parametrize("name", ["sigmoid by hand", "half a tanh", "bytes"])
def test_generators_of_another_range_by_hand(name):
    discriminator = player(ENDS["nothing"][0], (6,), (1,))
    with pytest.raises(ValueError, match="value_range"):
        ktg.GAN((6,), 4, generator=player(ENDS[name][0], (4,), (6,)), discriminator=discriminator)
