"""Every KL against its closed form and against Monte Carlo; free bits by hand."""

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

from keras_transgen.generative.kl import kl_by_group, sum_with_free_bits

tfd = tfp.distributions

MEAN = np.array([[0.3, -1.2], [2.0, 0.1], [0.0, 0.0]], "float32")
SCALE = np.array([[0.5, 1.5], [0.1, 1.0], [1.0, 1.0]], "float32")
PRIOR_MEAN, PRIOR_SCALE = np.array([0.5, -0.5], "float32"), np.array([2.0, 0.7], "float32")
TRIANGLE = np.array([[1.0, 0.0], [0.8, 0.6]], "float32")


def posterior():
    return tfd.MultivariateNormalDiag(MEAN, SCALE)


def normal_kl(mean, scale, prior_mean, prior_scale):
    return (
        np.log(prior_scale / scale)
        + (scale**2 + (mean - prior_mean) ** 2) / (2 * prior_scale**2)
        - 0.5
    )


def full_kl(covariance):
    """Between two multivariate normals, the prior's mean being 0."""
    inverse = np.linalg.inv(covariance)
    result = []
    for mean, scale in zip(MEAN.astype("float64"), SCALE.astype("float64")):
        trace = np.trace(inverse @ np.diag(scale**2))
        log_ratio = np.log(np.linalg.det(covariance)) - 2 * np.log(scale).sum()
        result.append(0.5 * (trace + mean @ inverse @ mean - 2 + log_ratio))
    return np.array(result)


def monte_carlo(prior, count=200_000):
    """The estimate and its standard error, in NumPy and SciPy for q."""
    noise = np.random.default_rng(0).normal(size=(count, 1, 2))
    z = MEAN + SCALE * noise
    log_q = scipy.stats.norm.logpdf(z, MEAN, SCALE).sum(-1)
    terms = log_q - prior.log_prob(z.astype("float32")).numpy()
    return terms.mean(0), terms.std(0) / np.sqrt(count)


STANDARD = tfd.MultivariateNormalDiag(np.zeros(2, "float32"), np.ones(2, "float32"))
PRIORS = {
    "standard normal": (STANDARD, normal_kl(MEAN, SCALE, 0.0, 1.0), 2),
    "diagonal normal": (
        tfd.MultivariateNormalDiag(PRIOR_MEAN, PRIOR_SCALE),
        normal_kl(MEAN, SCALE, PRIOR_MEAN, PRIOR_SCALE),
        2,
    ),
    "independent normals": (
        tfd.Independent(tfd.Normal(PRIOR_MEAN, PRIOR_SCALE), 1),
        normal_kl(MEAN, SCALE, PRIOR_MEAN, PRIOR_SCALE),
        2,
    ),
    "full covariance": (
        tfd.MultivariateNormalTriL(np.zeros(2, "float32"), TRIANGLE),
        full_kl((TRIANGLE @ TRIANGLE.T).astype("float64"))[:, None],
        1,
    ),
}


@pytest.mark.parametrize("name", PRIORS)
def test_analytic_kl(name):
    prior, expected, groups = PRIORS[name]
    # Samples of zeros would betray an estimate by samples.
    kl = kl_by_group(posterior(), prior, tf.zeros([3, 2]))
    assert kl.shape == (3, groups)
    np.testing.assert_allclose(kl, expected, rtol=1e-5, atol=1e-6)
    estimate, error = monte_carlo(prior)
    assert (np.abs(kl.numpy().sum(-1) - estimate) < 5 * error + 1e-4).all()


MIXTURE = tfd.MixtureSameFamily(
    tfd.Categorical(probs=np.array([0.3, 0.7], "float32")),
    tfd.MultivariateNormalDiag(np.array([[-1.0], [2.0]], "float32"), np.ones([2, 1], "float32")),
)


@pytest.mark.parametrize("leading", [(), (2,)])
def test_monte_carlo_kl_of_a_mixture(leading):
    """The estimate over 40,000 draws against the integral."""
    mean, scale = 0.5, 0.6

    def integrand(z):
        q = scipy.stats.norm.logpdf(z, mean, scale)
        density = 0.3 * scipy.stats.norm.pdf(z, -1) + 0.7 * scipy.stats.norm.pdf(z, 2)
        return np.exp(q) * (q - np.log(density))

    expected, _ = scipy.integrate.quad(integrand, -8, 9)
    count = 40_000
    q = tfd.MultivariateNormalDiag(tf.fill([count, 1], mean), tf.fill([count, 1], scale))
    kl = kl_by_group(q, MIXTURE, q.sample(leading, seed=[1, 2]))
    assert kl.shape == (count, 1)
    error = np.std(kl.numpy()) / np.sqrt(count)
    assert error < 0.01
    assert abs(float(tf.reduce_mean(kl)) - expected) < 5 * error


def test_free_bits_by_hand():
    kl = tf.constant([[0.0, 1.0, 0.2], [0.4, 3.0, 0.2]])  # means 0.2, 2.0, 0.2
    assert float(sum_with_free_bits(kl, 0.0)) == pytest.approx(2.4)
    assert float(sum_with_free_bits(kl, 0.5)) == pytest.approx(0.5 + 2.0 + 0.5)
    assert float(sum_with_free_bits(kl, 5.0)) == pytest.approx(15.0)


def test_free_bits_stop_gradients_of_units_below():
    kl = tf.Variable([[0.0, 1.0], [0.4, 3.0]])
    with tf.GradientTape() as tape:
        loss = sum_with_free_bits(kl, 0.5)
    np.testing.assert_allclose(tape.gradient(loss, kl), [[0.0, 0.5], [0.0, 0.5]])


def test_free_bits_decided_by_the_whole_batch():
    """A replica's part has a mean above the threshold; the whole batch has not."""
    part = tf.constant([[0.8]])
    assert float(sum_with_free_bits(part, 0.5, tf.constant([0.4]))) == pytest.approx(0.5)
    assert float(sum_with_free_bits(part * 0.1, 0.5, tf.constant([0.6]))) == pytest.approx(0.08)


def test_one_latent_unit_has_a_shape_that_is_known():
    """`KL(N(1, 2) || N(0, 1))` by the formula, in a graph for batches of any size."""
    expected = 0.5 * (2.0**2 + 1.0**2 - 1.0 - 2.0 * np.log(2.0))

    @tf.function(input_signature=[tf.TensorSpec([None, 1])])
    def divergence(mean):
        posterior = tfd.MultivariateNormalDiag(mean, 0.0 * mean + 2.0)
        kl = kl_by_group(posterior, tfd.MultivariateNormalDiag(tf.zeros(1), tf.ones(1)), mean)
        assert kl.shape[-1] == 1
        return kl

    np.testing.assert_allclose(divergence(np.ones((3, 1), "float32")), [[expected]] * 3, rtol=1e-6)
