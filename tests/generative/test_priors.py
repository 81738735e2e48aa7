"""Priors against SciPy; each through its configuration."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

from keras_transgen.generative.priors import (
    PRIORS,
    FixedPrior,
    Mixture,
    StandardNormal,
    VampPrior,
    get_prior,
)

tfd = tfp.distributions
Z = np.random.default_rng(0).normal(size=(7, 2)).astype("float32")


def prepared(prior, bounded=True):
    prior.prepare(2, (3,), bounded)
    return prior


def encode(x):
    """q(z|u) of mean (sum of u, 0) and scale 0.5."""
    total = tf.reduce_sum(x, axis=-1, keepdims=True)
    return tfd.MultivariateNormalDiag(
        tf.concat([total, 0.0 * total], -1), tf.fill([x.shape[0], 2], 0.5)
    )


def test_standard_normal():
    prior = prepared(StandardNormal()).distribution(encode)
    np.testing.assert_allclose(prior.log_prob(Z), scipy.stats.norm.logpdf(Z).sum(-1), rtol=1e-5)


def test_mixture():
    prior = prepared(Mixture(3))
    assert len(prior.trainable_variables) == 3
    logits, means = np.array([0.1, 2.0, -1.0]), np.array([[0, 1], [2, 3], [-1, 0.0]])
    raw = np.array([[0.0, 1.0], [-1.0, 0.5], [2.0, 0.0]])
    for variable, value in ((prior.logits, logits), (prior.means, means), (prior.raw_scales, raw)):
        variable.assign(value)
    scales = np.log1p(np.exp(raw)) + 0.001
    by_component = scipy.stats.norm.logpdf(Z[:, None], means, scales).sum(-1)
    expected = scipy.special.logsumexp(by_component + scipy.special.log_softmax(logits), axis=1)
    np.testing.assert_allclose(prior.distribution(encode).log_prob(Z), expected, rtol=1e-4)


@pytest.mark.parametrize("bounded", [True, False])
def test_vamp(bounded):
    prior = prepared(VampPrior(4), bounded)
    assert [tuple(v.shape) for v in prior.trainable_variables] == [(4, 3)]
    raw = prior.pseudo_inputs.numpy()
    inputs = scipy.special.expit(raw) if bounded else raw
    means = np.stack([inputs.sum(-1), np.zeros(4)], -1)
    by_component = scipy.stats.norm.logpdf(Z[:, None], means, 0.5).sum(-1)
    expected = scipy.special.logsumexp(by_component, axis=1) - np.log(4)
    np.testing.assert_allclose(prior.distribution(encode).log_prob(Z), expected, rtol=1e-4)


def test_any_distribution():
    fixed = tfd.Independent(tfd.StudentT(3.0, [0.0, 1.0], [1.0, 2.0]), 1)
    prior = prepared(get_prior(fixed))
    assert prior.distribution(encode) is fixed
    again = prepared(FixedPrior.from_config(prior.get_config()))
    expected = scipy.stats.t.logpdf(Z, 3.0, [0.0, 1.0], [1.0, 2.0]).sum(-1)
    np.testing.assert_allclose(again.distribution(encode).log_prob(Z), expected, rtol=1e-4)


@pytest.mark.parametrize("name", sorted(PRIORS))
def test_names_and_configurations(name):
    prior = get_prior(name)
    again = type(prior).from_config(prior.get_config())
    assert again.get_config() == prior.get_config()
    assert get_prior(again) is again


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: get_prior("normal"), "standard_normal.*Received: prior='normal'"),
        (lambda: Mixture(0), "at least 1"),
        (lambda: VampPrior(0), "at least 1"),
        (lambda: FixedPrior("normal"), "TFP distribution"),
        (lambda: prepared(FixedPrior(tfd.Normal([0.0, 0.0], 1.0))), r"tfd\.Independent"),
        (
            lambda: prepared(FixedPrior(tfd.MultivariateNormalDiag(tf.zeros(3)))),
            r"vectors of 2 units.*event shape \(3,\)",
        ),
        (
            lambda: prepared(FixedPrior(tfd.MultivariateNormalDiag(np.zeros(2)))),
            "float32",
        ),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
