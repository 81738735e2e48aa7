import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

from keras_transgen.sequences.wavenet.sample_distributions import distribution_of


def test_mu_law_by_its_formula():
    mu_law = distribution_of("mu_law", 256, 1)
    waves = np.linspace(-1.0, 1.0, 1001)
    places = np.sign(waves) * np.log1p(255 * np.abs(waves)) / np.log(256)
    expected = np.round((places + 1) / 2 * 255)
    found = mu_law.quantized(waves).numpy()
    # On the border between two levels rounding decides.
    assert (found != expected).mean() < 0.01
    assert np.abs(found - expected).max() <= 1
    assert mu_law.quantized([0.0, -1.0, 1.0, 1.5]).numpy().tolist() == [128, 0, 255, 255]
    assert mu_law.silence == 128


@pytest.mark.parametrize(("name", "levels"), [("mu_law", 256), ("logistics", 65536)])
def test_levels_survive_the_way_out_and_back(name, levels):
    distribution = distribution_of(name, levels, 1)
    every = np.arange(levels)
    np.testing.assert_array_equal(distribution.quantized(distribution.waves(every)), every)
    ends = distribution.waves([0, levels - 1]).numpy()
    np.testing.assert_allclose(ends, [-1.0, 1.0], rtol=1e-6)


@pytest.mark.parametrize("name", ["mu_law", "logistics"])
def test_probabilities_sum_to_one(name):
    distribution = distribution_of(name, 32, 3)
    parameters = np.random.default_rng(0).normal(size=(5, distribution.parameters), scale=2.0)
    repeated = np.repeat(parameters[:, None], 32, axis=1).astype("float32")
    nats = distribution.nats(tf.constant(repeated), tf.tile(tf.range(32)[None], [5, 1]))
    np.testing.assert_allclose(np.exp(-nats.numpy()).sum(axis=1), 1.0, rtol=1e-5)


def test_logistics_by_scipy():
    """One component: the mass between two borders of a logistic distribution."""
    levels = 16
    distribution = distribution_of("logistics", levels, 1)
    parameters = np.float32([[0.0, 0.3, 1.0]])
    # One component stands where the spread begins, 0.2 below the middle.
    place, scale = 0.5 + 0.5 * (0.3 - 0.2), 0.1 / levels + np.log1p(np.exp(1.0 - 3.0))
    borders = (np.arange(levels + 1) - 0.5) / (levels - 1)
    borders[0], borders[-1] = -np.inf, np.inf
    expected = np.diff(scipy.stats.logistic.cdf(borders, place, scale))
    found = distribution.nats(np.repeat(parameters, levels, axis=0), np.arange(levels))
    np.testing.assert_allclose(np.exp(-found.numpy()), expected, rtol=1e-4)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
@pytest.mark.parametrize("name", ["mu_law", "logistics"])
def test_draws_have_the_distribution(name, temperature):
    """Frequencies of many draws against probabilities, within four deviations."""
    distribution = distribution_of(name, 16, 2)
    parameters = np.random.default_rng(1).normal(size=distribution.parameters).astype("float32")
    count = 40_000
    uniform = np.random.default_rng(0).random((count, distribution.uniforms), "float32")
    rows = tf.constant(np.tile(parameters, (count, 1)))
    drawn = distribution.draw(rows, tf.constant(uniform), tf.constant(temperature)).numpy()
    if name == "mu_law":
        expected = scipy.special.softmax(parameters / temperature)
    else:
        logits, places, scales = np.split(parameters, 3)
        shares = scipy.special.softmax(logits / temperature)
        borders = (np.arange(17) - 0.5) / 15
        borders[0], borders[-1] = -np.inf, np.inf
        scales = (0.1 / 16 + np.log1p(np.exp(scales - 3.0))) * temperature
        places = 0.5 + 0.5 * (places + np.array([-0.2, 0.2]))
        expected = sum(
            share * np.diff(scipy.stats.logistic.cdf(borders, place, scale))
            for share, place, scale in zip(shares, places, scales)
        )
    found = np.bincount(drawn, minlength=16) / count
    deviation = np.sqrt(expected * (1 - expected) / count)
    assert np.all(np.abs(found - expected) <= 4 * deviation + 1e-4)


def test_a_temperature_of_zero_takes_the_likeliest():
    distribution = distribution_of("mu_law", 8, 1)
    parameters = np.random.default_rng(0).normal(size=(20, 8)).astype("float32")
    uniform = np.random.default_rng(1).random((20, 1), "float32")
    found = distribution.draw(tf.constant(parameters), tf.constant(uniform), tf.constant(0.0))
    np.testing.assert_array_equal(found, parameters.argmax(axis=1))
