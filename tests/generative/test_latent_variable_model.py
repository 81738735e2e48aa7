"""What a trained VAE gives, on models whose answers are known."""

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

import keras_transgen as ktg
from keras_transgen.generative import latent_variable_model
from keras_transgen.generative.vae import VAE
from tests.generative.models import LinearGaussian

MODEL = LinearGaussian()
X = MODEL.data(20)


@pytest.fixture(scope="module")
def vae():
    return MODEL.vae()


def true_means(x):
    return (x - MODEL.bias) @ MODEL.encode.T


def decoded(z):
    return z @ MODEL.weights.T + MODEL.bias


def test_encode_gives_the_posterior(vae):
    posterior = vae.encode(X)
    assert (posterior.batch_shape, posterior.event_shape) == ((20,), (2,))
    np.testing.assert_allclose(posterior.mean(), true_means(X), atol=1e-5)
    np.testing.assert_allclose(posterior.stddev()[3], MODEL.posterior_scale, rtol=1e-5)


def test_decode_gives_the_likelihood(vae):
    z = np.random.default_rng(0).normal(size=(20, 2)).astype("float32")
    likelihood = vae.decode(z)
    assert (likelihood.batch_shape, likelihood.event_shape) == ((20,), (5,))
    expected = scipy.stats.norm.logpdf(X, decoded(z), MODEL.sigma).sum(-1)
    np.testing.assert_allclose(likelihood.log_prob(X), expected, rtol=1e-4)


def test_many_examples_are_encoded_in_parts(vae, monkeypatch):
    monkeypatch.setattr(latent_variable_model, "_EXAMPLES_AT_A_TIME", 7)
    np.testing.assert_allclose(vae.encode(X).mean(), true_means(X), atol=1e-5)
    np.testing.assert_allclose(vae.reconstruct(X), decoded(true_means(X)), atol=1e-4)
    assert vae.sample(16, seed=0, observation_noise=True).shape == (16, 5)


def test_reconstruct_and_predict(vae):
    expected = decoded(true_means(X))
    np.testing.assert_allclose(vae.reconstruct(X), expected, atol=1e-5)
    np.testing.assert_allclose(vae.predict(X, verbose=0), expected, atol=1e-5)


def test_samples_have_the_model_s_moments(vae):
    samples = vae.sample(20_000, seed=1, observation_noise=True).numpy()
    covariance = MODEL.weights @ MODEL.weights.T + MODEL.sigma**2 * np.eye(5)
    np.testing.assert_allclose(samples.mean(0), MODEL.bias, atol=0.06)
    np.testing.assert_allclose(np.cov(samples.T), covariance, atol=0.12)
    means = vae.sample(20_000, seed=1).numpy()
    np.testing.assert_allclose(np.cov(means.T), MODEL.weights @ MODEL.weights.T, atol=0.12)


def test_seeds_of_samples(vae):
    np.testing.assert_array_equal(vae.sample(3, seed=4), vae.sample(3, seed=4))
    assert not np.allclose(vae.sample(3, seed=4), vae.sample(3, seed=5))
    assert not np.allclose(vae.sample(3), vae.sample(3))
    noisy = [vae.sample(3, seed=4, observation_noise=True) for _ in range(2)]
    np.testing.assert_array_equal(*noisy)


def test_interpolate_is_a_line_from_one_reconstruction_to_the_other(vae):
    way = vae.interpolate(X[:4], X[4:8], steps=5).numpy()
    assert way.shape == (4, 5, 5)
    start, end = decoded(true_means(X[:4])), decoded(true_means(X[4:8]))
    for step in range(5):
        np.testing.assert_allclose(way[:, step], start + step / 4 * (end - start), atol=1e-4)


@pytest.mark.parametrize("from_latents", [True, False])
def test_traverse_moves_one_unit(vae, from_latents):
    start = true_means(X[:3])
    given = {"z": start} if from_latents else {"x": X[:3]}
    result = vae.traverse(**given, dims=[1], values=[-1.0, 0.5]).numpy()
    assert result.shape == (3, 1, 2, 5)
    for number, value in enumerate((-1.0, 0.5)):
        z = start.copy()
        z[:, 1] = value
        np.testing.assert_allclose(result[:, 0, number], decoded(z), atol=1e-4)
    assert vae.traverse(X[:1]).shape == (1, 2, 7, 5)


def test_traverse_of_several_units_moves_each_alone(vae):
    result = vae.traverse(z=[[0.3, -0.2]], dims=[1, 0], values=[2.0]).numpy()
    np.testing.assert_allclose(result[0, 0, 0], decoded(np.array([0.3, 2.0])), atol=1e-4)
    np.testing.assert_allclose(result[0, 1, 0], decoded(np.array([2.0, -0.2])), atol=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda vae: vae.sample(0), "count=0"),
        (lambda vae: vae.decode(np.zeros((3, 4))), r"\[batch, 2\].*\(3, 4\)"),
        (lambda vae: vae.encode(X[:, :2]), r"\[batch, 5\]"),
        (lambda vae: vae.interpolate(X[:2], X[:3]), "2 and 3 examples"),
        (lambda vae: vae.interpolate(X[:2], X[:2], steps=1), "steps=1"),
        (lambda vae: vae.traverse(), "neither"),
        (lambda vae: vae.traverse(X, z=X), "both"),
        (lambda vae: vae.traverse(X, dims=[2]), r"0 to 1.*dims=\[2\]"),
        (lambda vae: vae.traverse(X, values=[]), r"values=\[\]"),
    ],
)
def test_wrong_calls(vae, call, message):
    with pytest.raises(ValueError, match=message):
        call(vae)


def test_images_of_an_encoder_with_maps():
    """Features of higher rank are flattened; bytes and their floats give the same posterior."""
    encoder = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3)])
    vae = VAE((8, 8, 3), 4, encoder=encoder)
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype("uint8")
    np.testing.assert_allclose(
        vae.encode(images).mean(), vae.encode(images / np.float32(255)).mean(), atol=1e-5
    )
    samples = vae.sample(5, seed=0).numpy()
    assert samples.shape == (5, 8, 8, 3)
    assert 0.0 <= samples.min() <= samples.max() <= 1.0


def test_an_encoder_of_two_outputs_is_refused():
    inputs = keras.Input((4,))
    encoder = keras.Model(inputs, [inputs, keras.layers.Dense(2)(inputs)])
    with pytest.raises(ValueError, match="one tensor of features"):
        VAE((4,), 2, encoder=encoder)


def test_a_prior_of_one_s_own_is_saved(tmp_path):
    prior = tfp.distributions.MultivariateNormalTriL(
        tf.ones(2), tf.linalg.LinearOperatorLowerTriangular([[1.0, 0.0], [0.5, 2.0]]).to_dense()
    )
    vae = MODEL.vae(prior=prior)
    vae.save(tmp_path / "vae.keras")
    loaded = keras.saving.load_model(tmp_path / "vae.keras")
    np.testing.assert_allclose(
        loaded.log_likelihood(X, num_samples=3), vae.log_likelihood(X, num_samples=3), rtol=1e-5
    )
    np.testing.assert_array_equal(loaded.sample(3, seed=0), vae.sample(3, seed=0))


@pytest.mark.slow
def test_a_backbone_as_encoder_stays_as_it_is(tmp_path):
    images, _ = ktg.datasets.load_digits()
    backbone = ktg.load_backbone("digits")
    before = [weight.numpy() for weight in backbone.weights]
    vae = VAE((8, 8, 1), 3, encoder=backbone)
    features = backbone(images[:4])
    expected = features @ vae.posterior_mean.kernel + vae.posterior_mean.bias
    np.testing.assert_allclose(vae.encode(images[:4]).mean(), expected, atol=1e-4)
    vae.compile(jit_compile=False)
    vae.fit(images[:64], verbose=0)
    for one, other in zip(before, backbone.weights):
        np.testing.assert_array_equal(one, other.numpy())
    vae.save(tmp_path / "vae.keras")
    loaded = ktg.load_model(tmp_path / "vae.keras")
    np.testing.assert_allclose(
        loaded.reconstruct(images[:4]), vae.reconstruct(images[:4]), atol=1e-5
    )
