"""Sequences in a VAE: the harness, the likelihood against SciPy, networks, what is refused."""

import keras
import numpy as np
import pytest
import scipy.special
import scipy.stats

import keras_transgen as ktg
from keras_transgen.generative.likelihoods import Categorical, OneHotCategorical, get_likelihood
from keras_transgen.generative.networks import convolutional_1d_decoder, convolutional_1d_encoder
from keras_transgen.generative.one_hot import check_symbols
from tests.generative.models import DataNoiseVAE
from tests.generative.test_vae import case
from tests.harness import every_check

RNG = np.random.default_rng(0)
SYMBOLS = np.eye(4, dtype="float32")[RNG.integers(0, 4, (8, 6))]
MORE_SYMBOLS = np.eye(4, dtype="float32")[RNG.integers(0, 4, (24, 6))]
WAVES = RNG.uniform(-1, 1, (24, 6, 1)).astype("float32")

CASES = {
    "symbols": case(lambda: DataNoiseVAE((6, 4), 2, "categorical"), MORE_SYMBOLS, tolerance=1e-5),
    "waveforms": case(lambda: DataNoiseVAE((6, 1), 2, "gaussian"), WAVES, tolerance=1e-5),
}


@pytest.mark.parametrize(("name", "check"), every_check(list(CASES)))
def test_model(name, check, tools):
    check(CASES[name], tools)


def test_nats_are_scipys_multinomial_of_one_draw():
    likelihood = OneHotCategorical()
    likelihood.prepare((6, 4))
    logits = RNG.normal(size=(8, 6, 4)).astype("float32")
    p = scipy.special.softmax(logits.astype("float64"), axis=-1)
    expected = scipy.stats.multinomial.logpmf(SYMBOLS, 1, p / p.sum(-1, keepdims=True)).sum(-1)
    np.testing.assert_allclose(likelihood.log_prob(logits, SYMBOLS), expected, rtol=1e-5)
    distribution = likelihood.distribution(logits)
    np.testing.assert_allclose(distribution.log_prob(SYMBOLS), expected, rtol=1e-5)
    np.testing.assert_allclose(likelihood.mean(logits), p, rtol=1e-5)
    draws = distribution.sample(2000, seed=[0, 1]).numpy()
    np.testing.assert_array_equal(draws.sum(-1), 1.0)
    np.testing.assert_allclose(draws.mean(0), p, atol=0.05)


def test_the_name_means_symbols_in_sequences_and_levels_elsewhere():
    assert isinstance(get_likelihood("categorical", (6, 4)), OneHotCategorical)
    assert isinstance(get_likelihood("one_hot_categorical"), OneHotCategorical)
    for shape in ((), (6,), (6, 1), (8, 8, 3)):
        assert isinstance(get_likelihood("categorical", shape), Categorical)


@pytest.mark.parametrize("length", [4, 5, 6, 7, 60, 81])
def test_networks_of_any_length(length):
    assert convolutional_1d_encoder((length, 4), 1, 3).output_shape == (None, 3)
    decoder = convolutional_1d_decoder(2, (length, 4), 1, 3)
    assert decoder.output_shape == (None, length, 4)


@pytest.mark.parametrize("shape", [(3, 4), (6, 0), (6,), (6, 4, 1)])
def test_shapes_that_are_no_sequences(shape):
    with pytest.raises(ValueError, match=r"sequences.*Received: shape"):
        convolutional_1d_encoder(shape)
    with pytest.raises(ValueError, match=r"sequences.*Received: shape"):
        convolutional_1d_decoder(2, shape)


@pytest.mark.long
def test_a_vae_learns_a_constant_sequence(tmp_path):
    """Its nats fall from 6 log 4 to nearly none, and a loaded one says the same."""
    same = np.repeat(SYMBOLS[:1], 64, axis=0)
    vae = ktg.VAE(
        input_shape=(6, 4),
        latent_dim=2,
        likelihood="categorical",
        encoder=convolutional_1d_encoder((6, 4), 2, 8),
        decoder=convolutional_1d_decoder(2, (6, 4), 2, 8),
        seed=0,
    )
    vae.compile(keras.optimizers.Adam(0.02), jit_compile=False)
    vae.fit(same, batch_size=64, epochs=150, verbose=0)
    nats = -np.asarray(vae.log_likelihood(same[:2], num_samples=20, seed=0))
    assert nats.max() < 0.5 * 6 * np.log(4)
    np.testing.assert_array_equal(np.argmax(vae.sample(5, seed=0), -1), same[:5].argmax(-1))
    vae.save(tmp_path / "vae.keras")
    loaded = ktg.load_model(tmp_path / "vae.keras")
    np.testing.assert_allclose(
        -loaded.log_likelihood(same[:2], num_samples=20, seed=0), nats, rtol=1e-5
    )


def test_refused_data():
    vae = ktg.VAE((6, 4), 2, "categorical")
    assert vae.encoder.layers[0].name.startswith("conv1d")
    with pytest.raises(ValueError, match="no one-hot vector though"):
        vae.fit(np.full((8, 6, 4), 0.25, "float32"), verbose=0)
    with pytest.raises(ValueError, match="sums to 2"):
        vae.fit(SYMBOLS * 2, verbose=0)
    with pytest.raises(ValueError, match="Cast them to float32"):
        vae.fit(SYMBOLS.astype("uint8"), verbose=0)


def test_probabilities_pass_where_they_may():
    check_symbols(np.full((2, 6, 4), 0.25), "x")
