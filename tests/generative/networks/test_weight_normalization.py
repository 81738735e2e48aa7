"""WeightNormalization and the networks of a semi-supervised GAN: the harness, numbers by hand."""

import keras
import numpy as np
import pytest
from scipy import stats

from keras_transgen.generative.networks.semi_supervised import (
    SoftRange,
    UniformNoise,
    semi_supervised_discriminator,
    semi_supervised_generator,
    start_at_mean,
)
from keras_transgen.generative.networks.weight_normalization import (
    WeightNormalization,
    start_from_data,
)
from tests.harness import LAYER_CHECKS, LayerCase

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(16, 4)).astype("float32")
IMAGES = RNG.normal(size=(16, 4, 4, 2)).astype("float32")

CASES = {
    "dense": LayerCase(lambda: WeightNormalization(keras.layers.Dense(3), True), VECTORS),
    "convolution": LayerCase(
        lambda: WeightNormalization(keras.layers.Conv2D(3, 3, padding="same")), IMAGES
    ),
    "softplus": LayerCase(lambda: SoftRange("softplus", (-1.0, 1.0)), VECTORS),
}


@pytest.mark.parametrize("name", ["dense", "convolution"])
@pytest.mark.parametrize("check", LAYER_CHECKS)
def test_layer(name, check, tools):
    check(CASES[name], tools)


def test_a_unit_is_its_gain_times_the_direction():
    layer = WeightNormalization(keras.layers.Dense(2))
    layer.build((None, 2))
    layer.layer.set_weights([np.array([[3.0, 0.0], [4.0, 2.0]]), np.array([0.5, -1.0])])
    layer.gain.assign([10.0, 3.0])
    # Columns (3, 4) / 5 and (0, 2) / 2.
    found = layer(np.array([[1.0, 2.0]], "float32"))
    np.testing.assert_allclose(found, [[10 * (3 + 8) / 5 + 0.5, 3 * 2 - 1.0]], rtol=1e-5)


def test_the_length_of_the_kernel_does_not_matter():
    layer = WeightNormalization(keras.layers.Conv2D(3, 3))
    before = np.asarray(layer(IMAGES))
    layer.layer.kernel.assign(layer.layer.kernel * 7.0)
    np.testing.assert_allclose(layer(IMAGES), before, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("inner", [keras.layers.Dense(3), keras.layers.Conv2D(3, 3)])
def test_a_start_from_data_has_mean_zero_and_deviation_one(inner):
    layer = WeightNormalization(inner)
    outputs = np.asarray(layer.start_from(IMAGES * 5.0 + 2.0)).reshape(-1, 3)
    np.testing.assert_allclose(outputs.mean(0), 0.0, atol=1e-4)
    np.testing.assert_allclose(outputs.std(0), 1.0, atol=1e-4)


def test_a_start_goes_through_a_chain():
    network = semi_supervised_discriminator((4,), 3, 0.0, 0.0)
    head = WeightNormalization(keras.layers.Dense(5))
    outputs = np.asarray(start_from_data([*network.layers, head], VECTORS))
    np.testing.assert_allclose(outputs.mean(0), 0.0, atol=1e-4)
    np.testing.assert_allclose(outputs, head(network(VECTORS)), atol=1e-5)


def test_without_a_bias_it_is_refused():
    with pytest.raises(ValueError, match="a kernel and a bias"):
        WeightNormalization(keras.layers.Dense(2, use_bias=False)).build((None, 2))


def test_ranges_by_hand():
    x = np.array([[0.0, 2.0, -30.0]], "float32")
    softplus = np.log1p(np.exp([[0.0, 2.0, -30.0]]))
    np.testing.assert_allclose(SoftRange("softplus", (-1, 1))(x), 2 * softplus - 1, rtol=1e-5)
    np.testing.assert_allclose(SoftRange("linear", (0, 255))(x), x * 255)
    np.testing.assert_allclose(SoftRange("linear", None)(x), x)
    np.testing.assert_allclose(SoftRange("sigmoid", (0, 4))(x)[0, 0], 2.0)
    with pytest.raises(ValueError, match="take generator_output='linear'"):
        SoftRange("softplus", None)
    with pytest.raises(ValueError, match="must be one of"):
        SoftRange("relu")


@pytest.mark.parametrize("output", ["softplus", "linear", "sigmoid"])
def test_a_generator_starts_at_the_mean(output):
    generator = semi_supervised_generator((3,), 2, 4, output, (-1.0, 1.0))
    examples = np.array([[-0.5, 0.0, 0.9], [-0.7, 0.2, 0.7]], "float32")
    start_at_mean(generator, examples)
    last = generator.get_layer("output_range")
    bias = np.asarray(generator.get_layer("last").layer.bias)
    np.testing.assert_allclose(last(bias[None]), [[-0.6, 0.1, 0.8]], atol=1e-5)


def test_networks_have_the_shapes_of_examples():
    assert semi_supervised_generator((8, 8, 3), 5, 2, "softplus", (-1, 1)).output_shape == (
        None,
        8,
        8,
        3,
    )
    assert semi_supervised_discriminator((8, 8, 3), 2, 0.3, 0.5).output_shape == (None, 2)


def test_noise_is_uniform_of_its_deviation_and_only_in_training():
    x = np.full((200, 100), 3.0, "float32")
    layer = UniformNoise(0.5, seed=1)
    np.testing.assert_array_equal(layer(x), x)
    np.testing.assert_array_equal(UniformNoise(0.0)(x, training=True), x)
    noise = np.asarray(layer(x, training=True)) - x
    end = 0.5 * 3**0.5
    # By Kolmogorov and Smirnov; 20,000 numbers of a normal law of this deviation give 0.06.
    assert stats.kstest(noise.ravel(), stats.uniform(-end, 2 * end).cdf).statistic < 0.012
    assert not np.array_equal(noise, np.asarray(layer(x, training=True)) - x)
    again = UniformNoise.from_config(layer.get_config())
    np.testing.assert_array_equal(np.asarray(again(x, training=True)) - x, noise)
