"""The estimate of log p(x) against a model in which it is known."""

import numpy as np
import pytest

from keras_transgen.generative.importance_sampling import ImportanceSampler
from keras_transgen.generative.likelihoods import Categorical
from keras_transgen.generative.networks import dense_decoder, dense_encoder
from keras_transgen.generative.vae import VAE
from tests.generative.models import LinearGaussian

MODEL = LinearGaussian()
X = MODEL.data(60)


def test_the_true_posterior_gives_the_exact_likelihood_at_once():
    estimate = MODEL.vae().log_likelihood(X, num_samples=2)
    np.testing.assert_allclose(estimate, MODEL.log_likelihood(X), atol=2e-3)


def test_any_other_posterior_converges_to_it():
    vae = MODEL.vae(shift=0.2, stretch=1.5)
    one = vae.log_likelihood(X, num_samples=1)
    assert np.abs(one - MODEL.log_likelihood(X)).mean() > 0.3
    many = vae.log_likelihood(X, num_samples=20_000)
    np.testing.assert_allclose(many, MODEL.log_likelihood(X), atol=0.05)


def test_the_bound_grows_with_the_number_of_samples():
    x = MODEL.data(4000)
    vae = MODEL.vae(shift=0.3, stretch=1.4)
    bounds = [
        float(np.mean(vae.log_likelihood(x, num_samples=count, batch_size=1000)))
        for count in (1, 4, 16, 64)
    ]
    truth = MODEL.log_likelihood(x).mean()
    assert bounds == sorted(bounds)
    # With one sample it is the evidence lower bound, whose gap is known.
    assert bounds[0] == pytest.approx(truth - MODEL.gap(0.3, 1.4), abs=0.05)
    assert bounds[-1] == pytest.approx(truth, abs=0.02)
    assert all(bound < truth + 0.01 for bound in bounds)


def test_seeds():
    vae = MODEL.vae(shift=0.2)
    first = vae.log_likelihood(X, num_samples=3, seed=1)
    np.testing.assert_array_equal(first, vae.log_likelihood(X, num_samples=3, seed=1))
    assert not np.allclose(first, vae.log_likelihood(X, num_samples=3, seed=2))
    assert not np.allclose(
        vae.log_likelihood(X, num_samples=3, seed=None),
        vae.log_likelihood(X, num_samples=3, seed=None),
    )


def test_examples_draw_different_noise():
    x = np.repeat(X[:1], 7, axis=0)
    estimate = MODEL.vae(shift=0.5).log_likelihood(x, num_samples=1, batch_size=3)
    assert len(np.unique(estimate)) == 7


@pytest.mark.parametrize("rows", [3, 7, 10_000])
def test_chunks_hold_every_sample_once(rows):
    """The weights 1, 2, ... are summed whatever the chunks; the last is not full."""
    seen = []

    def log_weights(x, mean, scale, noise):
        seen.append(int(noise.shape[0]))
        return 0.0 * noise[..., 0] + x[:, 0]

    def posterior(x):
        return x, x + 1.0

    sampler = ImportanceSampler(posterior, log_weights, 2**22 // rows, jit_compile=False)
    x = np.log([[1.0], [2.0], [5.0]]).astype("float32")
    estimate = sampler(x, 10, np.array([0, 1], "int32"), batch_size=2)
    np.testing.assert_allclose(np.exp(estimate), [1.0, 2.0, 5.0], rtol=1e-5)
    assert max(seen) * 2 <= max(rows, 2)


def test_compiled_equals_plain():
    keywords = {"shift": 0.3, "stretch": 1.4}
    results = []
    for jit_compile in (True, False):
        vae = MODEL.vae(**keywords)
        sampler = ImportanceSampler(
            lambda x, vae=vae: vae._posterior(x, False), vae._log_weights, 5, jit_compile
        )
        results.append(sampler(X, 10, np.array([0, 1], "int32"), 25))
    np.testing.assert_allclose(*results, atol=1e-4)


def test_bytes_and_levels():
    """An untrained categorical decoder of zeros gives every level the same probability."""
    shape = (2, 2, 1)
    decoder = dense_decoder(3, (2, 2, 256), (4,))
    decoder.set_weights([np.zeros_like(weight) for weight in decoder.get_weights()])
    vae = VAE(shape, 3, Categorical(), dense_encoder(shape, (4,)), decoder)
    vae.posterior_mean.set_weights([np.zeros((4, 3)), np.zeros(3)])
    x = np.array([0, 17, 255, 128], "uint8").reshape(1, *shape)
    estimate = vae.log_likelihood(x, num_samples=400)
    # q differs from the prior only in its scale.
    assert float(estimate[0]) == pytest.approx(-4 * np.log(256), abs=0.5)


def test_wrong_arguments():
    vae = MODEL.vae()
    with pytest.raises(ValueError, match="num_samples=0"):
        vae.log_likelihood(X, num_samples=0)
    with pytest.raises(ValueError, match=r"\[batch, 5\]"):
        vae.log_likelihood(X[:, :4])
