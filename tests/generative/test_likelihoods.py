"""Likelihoods against SciPy and hand computation; values that cannot occur are refused."""

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

from keras_transgen.generative.likelihoods import (
    LIKELIHOODS,
    Bernoulli,
    Categorical,
    CustomLikelihood,
    DiscretizedLogisticLikelihood,
    Gaussian,
    get_likelihood,
)

SHAPE = (3, 2, 1)
RNG = np.random.default_rng(0)


def prepared(likelihood):
    likelihood.prepare(SHAPE)
    return likelihood


def parameters(likelihood, count=4):
    shape = (count, *likelihood.parameter_shape())
    return RNG.normal(size=shape).astype("float32")


def on_levels(levels, count=4):
    return (RNG.integers(0, levels, (count, *SHAPE)) / (levels - 1)).astype("float32")


def test_bernoulli_of_binary_and_grey_values():
    likelihood = prepared(Bernoulli())
    logits = parameters(likelihood)
    p = 1 / (1 + np.exp(-logits.astype("float64")))
    for x in (RNG.integers(0, 2, (4, *SHAPE)), RNG.uniform(size=(4, *SHAPE))):
        expected = (x * np.log(p) + (1 - x) * np.log(1 - p)).sum((1, 2, 3))
        x = x.astype("float32")
        np.testing.assert_allclose(likelihood.log_prob(logits, x), expected, rtol=1e-5)
        np.testing.assert_allclose(likelihood.distribution(logits).log_prob(x), expected, rtol=1e-5)
    np.testing.assert_allclose(likelihood.mean(logits), p, rtol=1e-5)


def test_gaussian_of_fixed_sigma():
    likelihood = prepared(Gaussian(sigma=0.3))
    loc, x = parameters(likelihood), parameters(likelihood)
    expected = scipy.stats.norm.logpdf(x, loc, 0.3).sum((1, 2, 3))
    np.testing.assert_allclose(likelihood.log_prob(loc, x), expected, rtol=1e-4)
    assert not likelihood.trainable_variables


def test_gaussian_of_learned_sigma():
    likelihood = prepared(Gaussian())
    assert len(likelihood.trainable_variables) == 1
    loc, x = parameters(likelihood), parameters(likelihood)
    likelihood.log_sigma.assign(np.log(0.5))
    expected = scipy.stats.norm.logpdf(x, loc, 0.501).sum((1, 2, 3))
    np.testing.assert_allclose(likelihood.log_prob(loc, x), expected, rtol=1e-4)


def test_gaussian_of_predicted_sigma():
    likelihood = prepared(Gaussian(sigma="predicted"))
    assert likelihood.parameter_shape() == (3, 2, 2)
    output = parameters(likelihood)
    x = RNG.normal(size=(4, *SHAPE)).astype("float32")
    loc, raw = output[..., :1], output[..., 1:]
    expected = scipy.stats.norm.logpdf(x, loc, np.log1p(np.exp(raw)) + 0.001).sum((1, 2, 3))
    np.testing.assert_allclose(likelihood.log_prob(output, x), expected, rtol=1e-4)
    np.testing.assert_array_equal(likelihood.mean(output), loc)


def test_discretized_logistic():
    likelihood = prepared(DiscretizedLogisticLikelihood())
    output, x = parameters(likelihood), on_levels(256)
    loc, scale = (output[..., :1] + 1) / 2, np.exp(np.maximum(output[..., 1:], -7)) / 2
    half = 0.5 / 255
    upper = np.where(x > 1 - half, 1.0, scipy.stats.logistic.cdf(x + half, loc, scale))
    lower = np.where(x < half, 0.0, scipy.stats.logistic.cdf(x - half, loc, scale))
    expected = np.log(upper - lower).sum((1, 2, 3))
    np.testing.assert_allclose(likelihood.log_prob(output, x), expected, rtol=1e-3)


def test_categorical():
    likelihood = prepared(Categorical(levels=5))
    assert likelihood.parameter_shape() == (3, 2, 5)
    output, x = parameters(likelihood), on_levels(5)
    logits = output.reshape(4, *SHAPE, 5).astype("float64")
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    chosen = np.take_along_axis(p, np.round(x * 4).astype(int)[..., None], -1)[..., 0]
    expected = np.log(chosen).sum((1, 2, 3))
    np.testing.assert_allclose(likelihood.log_prob(output, x), expected, rtol=1e-5)
    distribution = likelihood.distribution(output)
    np.testing.assert_allclose(distribution.log_prob(x), expected, rtol=1e-5)
    np.testing.assert_allclose(likelihood.mean(output), p @ np.linspace(0, 1, 5), rtol=1e-5)
    draws = distribution.sample(seed=[0, 1]).numpy() * 4
    np.testing.assert_allclose(draws, np.round(draws), atol=1e-5)


@pytest.mark.parametrize(
    "likelihood",
    [Bernoulli(), Gaussian(), Gaussian("predicted"), DiscretizedLogisticLikelihood(),
     Categorical(3)],
    ids=lambda one: type(one).__name__,
)  # fmt: skip
def test_samples_of_latents_keep_their_axis(likelihood):
    """Parameters `[samples, batch, ...]` against examples `[batch, ...]`."""
    prepared(likelihood)
    output = np.stack([parameters(likelihood), parameters(likelihood)])
    x = on_levels(3)
    log_prob = likelihood.log_prob(output, x)
    assert log_prob.shape == (2, 4)
    for sample in range(2):
        np.testing.assert_allclose(
            log_prob[sample], likelihood.log_prob(output[sample], x), rtol=1e-5
        )


@keras.saving.register_keras_serializable(package="tests")
def laplace(output):
    return tfp.distributions.Independent(tfp.distributions.Laplace(output, 2.0), 3)


def test_function():
    likelihood = prepared(get_likelihood(laplace))
    output = x = np.zeros((4, *SHAPE), "float32")
    np.testing.assert_allclose(likelihood.log_prob(output, x), [6 * np.log(0.25)] * 4, rtol=1e-5)
    again = CustomLikelihood.from_config(likelihood.get_config())
    assert again.function is laplace


def test_function_of_a_wrong_shape():
    likelihood = prepared(CustomLikelihood(lambda output: tfp.distributions.Normal(output, 1.0)))
    with pytest.raises(ValueError, match=r"tfd\.Independent.*\(3, 2, 1\)\. Received: \(\)"):
        likelihood.distribution(np.zeros((4, *SHAPE), "float32"))


@pytest.mark.parametrize("name", sorted(LIKELIHOODS))
def test_names_and_configurations(name):
    likelihood = get_likelihood(name)
    again = type(likelihood).from_config(likelihood.get_config())
    assert again.get_config() == likelihood.get_config()
    assert get_likelihood(again) is again


@pytest.mark.parametrize(
    ("likelihood", "x", "message"),
    [
        (Bernoulli(), [0.0, 255.0], "Bernoulli.*in \\[0, 1\\].*from 0 to 255"),
        (Bernoulli(), [-1.0, 1.0], "Bernoulli.*from -1 to 1"),
        (DiscretizedLogisticLikelihood(), [0.0, 0.3], "multiples of 1/255"),
        (Categorical(4), [0.0, 0.5], "multiples of 1/3"),
        (Categorical(4), [0.0, 4 / 3], "from 0 to 1.33333"),
    ],
)
def test_values_that_cannot_occur(likelihood, x, message):
    x = np.array(x)
    with pytest.raises(ValueError, match=message):
        likelihood.check_support(x, x.min(), x.max(), "x")


def test_values_that_can_occur():
    for likelihood, x in (
        (Bernoulli(), [0.0, 0.4, 1.0]),
        (Gaussian(), [-1e4, 1e4]),
        (DiscretizedLogisticLikelihood(), np.arange(256, dtype="float32") / 255),
        (Categorical(4), [0.0, 1 / 3, 2 / 3, 1.0]),
    ):
        x = np.array(x)
        likelihood.check_support(x, x.min(), x.max(), "x")
    Categorical(52).check_bytes("x")
    with pytest.raises(ValueError, match="256 levels, this likelihood has 10"):
        Categorical(10).check_bytes("x")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gaussian(0.0), "positive number"),
        (lambda: Gaussian("shared"), "'learned', 'predicted'"),
        (lambda: Categorical(1), "at least 2"),
        (lambda: CustomLikelihood(3), "callable"),
        (lambda: get_likelihood("poisson"), "bernoulli.*Received: likelihood='poisson'"),
        (lambda: get_likelihood(Bernoulli), "must be one of"),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.slow
def test_gaussian_gradient_reaches_sigma():
    likelihood = prepared(Gaussian())
    x = np.full((2, *SHAPE), 2.0, "float32")
    with tf.GradientTape() as tape:
        loss = -tf.reduce_sum(likelihood.log_prob(np.zeros_like(x), x))
    # d/ds of n log s + sum of x^2 / (2 s^2) at log s = 0, s = 1.001: 12 (1 - 4/s^2) times ds/dlog
    s = 1.001
    expected = 12 / s - 12 * 4 / s**3
    gradient = tape.gradient(loss, likelihood.trainable_variables[0].value)
    assert float(gradient) == pytest.approx(expected, rel=1e-4)
