"""A prior that leaves a part of the latent space out is refused, whatever TFP's formula says."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import bijectors as tfb
from tensorflow_probability import distributions as tfd

import keras_transgen as ktg
from keras_transgen.generative.prior_support import refuse_partial_support

ONE = np.ones(3, "float32")
ZERO = 0.0 * ONE


def units(distribution):
    return tfd.Independent(distribution, 1)


NORMAL = units(tfd.Normal(ZERO, ONE))
WHOLE = {
    "normal": tfd.MultivariateNormalDiag(ZERO, ONE),
    "narrow": tfd.MultivariateNormalDiag(ZERO, 1e-3 * ONE),
    "triangular": tfd.MultivariateNormalTriL(ZERO, np.eye(3, dtype="float32")),
    "student": units(tfd.StudentT(3.0, ZERO, ONE)),
    "laplace": units(tfd.Laplace(ZERO, ONE)),
    "gumbel": units(tfd.Gumbel(ZERO, ONE)),
    "sinh_arcsinh": units(tfd.SinhArcsinh(ZERO, ONE)),
    "sample": tfd.Sample(tfd.Normal(0.0, 1.0), 3),
    "shifted": tfd.TransformedDistribution(NORMAL, tfb.Shift(ONE)),
    "mixture": tfd.MixtureSameFamily(
        tfd.Categorical(logits=[0.0, 0.0]),
        tfd.MultivariateNormalDiag(np.stack([ZERO, ONE]), np.stack([ONE, ONE])),
    ),
    "one_component_is_enough": tfd.Mixture(
        tfd.Categorical(logits=[0.0, 0.0]), [NORMAL, units(tfd.Exponential(ONE))]
    ),
}
PARTIAL = {
    "exponential": units(tfd.Exponential(ONE)),
    "half_normal": units(tfd.HalfNormal(ONE)),
    "uniform": units(tfd.Uniform(-ONE, ONE)),
    "wide": units(tfd.Uniform(-100 * ONE, 100 * ONE)),
    "von_mises": units(tfd.VonMises(ZERO, ONE)),
    "log_normal": units(tfd.LogNormal(ZERO, ONE)),
    "truncated": units(tfd.TruncatedNormal(ZERO, ONE, -ONE, ONE)),
    "exponential_of_normal": tfd.TransformedDistribution(NORMAL, tfb.Exp()),
    "dirichlet": tfd.Dirichlet(ONE),
    "point": units(tfd.Deterministic(ONE)),
    "sphere": tfd.SphericalUniform(3),
    "sample": tfd.Sample(tfd.Gamma(1.0, 1.0), 3),
    "mixture": tfd.MixtureSameFamily(
        tfd.Categorical(logits=[0.0, 0.0]), units(tfd.Exponential(np.stack([ONE, 2 * ONE])))
    ),
    "block": tfd.Blockwise([units(tfd.Normal(ZERO[:2], ONE[:2])), units(tfd.Exponential(ONE[:1]))]),
}


@pytest.mark.parametrize("name", WHOLE)
def test_priors_that_reach_everything(name):
    refuse_partial_support(WHOLE[name], 3)


@pytest.mark.parametrize("name", PARTIAL)
def test_priors_that_do_not(name):
    with pytest.raises(ValueError, match="A prior must reach every latent vector"):
        refuse_partial_support(PARTIAL[name], 3)


def test_the_model_refuses_before_it_trains():
    with pytest.raises(ValueError, match=r"Independent\(HalfNormal\), which has no density at"):
        ktg.VAE((4,), 3, prior=PARTIAL["half_normal"])


@pytest.mark.slow
def test_variables_of_a_prior_are_learned_and_saved(tmp_path):
    """The mean of the best normal prior is that of the posterior's means; here it moves there."""
    location, scale = tf.Variable([3.0, 3.0]), tf.Variable([1.0, 1.0], trainable=False)
    plain = ktg.VAE((4,), 2, seed=0)
    vae = ktg.VAE((4,), 2, prior=tfd.MultivariateNormalDiag(location, scale), seed=0)
    assert len(vae.trainable_variables) == len(plain.trainable_variables) + 1
    x = np.random.default_rng(0).uniform(size=(64, 4)).astype("float32")
    for part in (vae.encoder, vae.posterior_mean, vae.posterior_raw_scale, vae.decoder):
        part.trainable = False
    vae.compile(keras.optimizers.Adam(0.05), jit_compile=False)
    vae.fit(x, epochs=150, verbose=0)
    np.testing.assert_array_equal(scale.numpy(), [1.0, 1.0])
    means = vae.encode(x).mean().numpy().mean(axis=0)
    np.testing.assert_allclose(location.numpy(), means, atol=0.05)
    vae.save(tmp_path / "vae.keras")
    loaded = ktg.load_model(tmp_path / "vae.keras")
    np.testing.assert_array_equal(loaded.prior.fixed.mean(), location.numpy())
    before = loaded.prior.fixed.mean().numpy()
    loaded.fit(x, verbose=0)
    assert not np.array_equal(loaded.prior.fixed.mean(), before)
    np.testing.assert_array_equal(loaded.prior.fixed.stddev(), [1.0, 1.0])
