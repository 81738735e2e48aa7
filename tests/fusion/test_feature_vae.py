"""FeatureVAE: the harness, its scale, and classes as normals of latent vectors."""

import keras
import numpy as np
import pytest
import scipy.stats

from keras_transgen.fusion.feature_vae import FeatureVAE
from keras_transgen.generative.likelihoods import Gaussian
from keras_transgen.generative.networks import dense_decoder, dense_encoder
from tests.generative.models import LinearGaussian
from tests.harness import (
    ModelCase,
    check_config_round_trip,
    check_file_in_new_process,
    check_frozen_between_fits,
    check_mixed_bfloat16,
    check_mixed_float16,
    check_right_weights_move,
    check_validation_logs,
)

RNG = np.random.default_rng(0)
FEATURES = (RNG.normal(size=(24, 5)) * [1, 20, 0.1, 3, 1] + [50, 0, 1, 0, 0]).astype("float32")
LABELS = np.arange(24) % 3


def tiny(**kwargs):
    return FeatureVAE(
        5,
        latent_dim=2,
        encoder=dense_encoder((5,), (4,)),
        decoder=dense_decoder(2, (5,), (4,)),
        **kwargs,
    )


CASE = ModelCase(
    make=lambda: tiny(num_classes=3),
    data=(FEATURES, LABELS),
    compile=lambda model, **kwargs: model.compile(keras.optimizers.SGD(0.01), **kwargs),
    outputs=("sample", (np.arange(3), 0), {}),
    may_move=lambda path: "feature_scale" in path or "class_" in path,
    tolerance=None,
)


@pytest.mark.slow
# The others are the base's own, which passes them.
@pytest.mark.parametrize(
    "check",
    [
        check_config_round_trip,
        check_file_in_new_process,
        check_mixed_bfloat16,
        check_mixed_float16,
        check_frozen_between_fits,
        check_validation_logs,
        check_right_weights_move,
    ],
)
def test_model(check, tools):
    check(CASE, tools)


def scaled_truth():
    """A linear Gaussian model of known likelihood, as a FeatureVAE with a scale of its own."""
    truth = LinearGaussian()
    plain = truth.vae()
    encoder = keras.Sequential([keras.Input((5,)), keras.layers.Identity()])
    vae = FeatureVAE(5, 2, 2, Gaussian(sigma=truth.sigma), encoder=encoder, decoder=plain.decoder)
    for name in ("posterior_mean", "posterior_raw_scale"):
        getattr(vae, name).set_weights(getattr(plain, name).get_weights())
    vae.feature_scale.mean.assign([1.0, 2.0, 3.0, 4.0, 5.0])
    vae.feature_scale.deviation.assign([2.0, 1.0, 0.5, 3.0, 1.0])
    vae.feature_scale.rows.assign(1.0)
    standard = truth.data(200)
    return truth, vae, standard, np.asarray(vae.feature_scale.inverse(standard))


def test_likelihood_is_of_the_features_themselves():
    """Change of variables: the logarithm of the product of the deviations is subtracted."""
    truth, vae, standard, features = scaled_truth()
    expected = truth.log_likelihood(standard) - np.log(2.0 * 1.0 * 0.5 * 3.0 * 1.0)
    np.testing.assert_allclose(
        vae.log_likelihood(features[:20], num_samples=10), expected[:20], atol=1e-3
    )


def test_constant_features_have_no_density():
    """The likelihood is that of the other features alone, SciPy's marginal of the truth."""
    truth, vae, standard, features = scaled_truth()
    vae.feature_scale.deviation.assign([2.0, 1.0, 0.5, 0.0, 0.0])
    # Wide enough to reach all that the other features leave open.
    kernel, bias = vae.posterior_raw_scale.get_weights()
    vae.posterior_raw_scale.set_weights([0.0 * kernel, 0.0 * bias + 1.0])
    covariance = truth.weights @ truth.weights.T + truth.sigma**2 * np.eye(5)
    marginal = scipy.stats.multivariate_normal(truth.bias[:3], covariance[:3, :3])
    expected = marginal.logpdf(standard[:20, :3]) - np.log(2.0 * 1.0 * 0.5)
    found = vae.log_likelihood(features[:20], num_samples=20000, batch_size=5)
    np.testing.assert_allclose(found, expected, atol=0.15)


def test_what_comes_out_is_in_the_features_scale():
    truth, vae, standard, features = scaled_truth()
    means = standard @ truth.encode.T - truth.encode @ truth.bias
    expected = (means @ truth.weights.T + truth.bias) * vae.feature_scale.deviation + (
        vae.feature_scale.mean
    )
    np.testing.assert_allclose(vae.reconstruct(features), expected, atol=1e-4)
    np.testing.assert_allclose(vae.predict(features, verbose=0), expected, atol=1e-4)
    samples = np.asarray(vae.sample(4000, seed=0))
    covariance = truth.weights @ truth.weights.T + truth.sigma**2 * np.eye(5)
    deviation = np.asarray(vae.feature_scale.deviation)
    np.testing.assert_allclose(samples.std(0), np.sqrt(np.diag(covariance)) * deviation, rtol=0.06)
    without = np.asarray(vae.sample(4000, seed=0, observation_noise=False))
    assert (without.std(0) < samples.std(0)).all()


def test_classes_by_the_law_of_total_variance():
    truth, vae, standard, features = scaled_truth()
    labels = (standard[:, 0] > truth.bias[0]).astype(int)
    vae.fit_classes(features, labels)
    means = standard @ truth.encode.T - truth.encode @ truth.bias
    within = np.concatenate([means[labels == c] - means[labels == c].mean(0) for c in (0, 1)])
    covariance = within.T @ within / 200 + np.diag(truth.posterior_scale**2)
    factor = vae.class_factor.numpy()
    np.testing.assert_allclose(factor @ factor.T, covariance, atol=1e-4)
    for each in (0, 1):
        np.testing.assert_allclose(vae.class_means[each], means[labels == each].mean(0), atol=1e-4)
    drawn = np.asarray(vae.sample(np.repeat([0, 1], 2000), seed=3))
    for each in (0, 1):
        latent = means[labels == each].mean(0)
        expected = (latent @ truth.weights.T + truth.bias) * vae.feature_scale.deviation + (
            vae.feature_scale.mean
        )
        rows = drawn[labels_of(each)]
        errors = rows.std(0) / 2000**0.5
        assert (np.abs(rows.mean(0) - expected) < 4 * errors).all()


def labels_of(each):
    return slice(2000 * each, 2000 * (each + 1))


def test_samples_by_seed():
    vae = tiny(num_classes=3)
    vae.adapt(FEATURES)
    vae.fit_classes(FEATURES, LABELS)
    one, other = (vae.sample(np.arange(3), seed=seed).numpy() for seed in (1, 1))
    np.testing.assert_array_equal(one, other)
    assert not np.allclose(one, vae.sample(np.arange(3), seed=2))
    assert vae.sample(7, seed=0).shape == (7, 5)


def test_arguments_of_sample_are_those_of_a_vae_and_of_a_conditional_gan():
    vae = tiny(num_classes=3)
    vae.adapt(FEATURES)
    vae.fit_classes(FEATURES, LABELS)
    labels = np.array([2, 0])
    by_place = vae.sample(labels, seed=1)
    np.testing.assert_array_equal(by_place, vae.sample(condition=labels, seed=1))
    np.testing.assert_array_equal(by_place, vae.sample(count=2, condition=labels, seed=1))
    np.testing.assert_array_equal(vae.sample(3, seed=1), vae.sample(count=3, seed=1))
    assert vae.sample(seed=1).shape == (64, 5)
    with pytest.raises(ValueError, match="Received: count=3 and condition with 2 labels"):
        vae.sample(3, condition=labels)
    with pytest.raises(ValueError, match="Received: count=0"):
        vae.sample(0)


def test_refuses():
    with pytest.raises(ValueError, match="feature_dim must be given"):
        FeatureVAE()
    with pytest.raises(ValueError, match="no classes"):
        tiny().sample(np.array([0]))
    vae = tiny(num_classes=3)
    with pytest.raises(ValueError, match=r"unknown classes \[1\]"):
        vae.sample(np.array([1]))
    with pytest.raises(ValueError, match=r"between 0 and 2. Received: labels from 0 to 3"):
        vae.fit_classes(FEATURES, np.arange(24) % 4)
    vae.adapt(FEATURES)
    vae.fit_classes(FEATURES, np.zeros(24, int))
    with pytest.raises(ValueError, match="unlabelled up to"):
        vae.fit_classes(FEATURES, np.zeros(24, int), FEATURES * np.float32(1e30))
    with pytest.raises(ValueError, match=r"unknown classes \[2\]"):
        vae.sample(np.array([0, 2]))


def test_unlabelled_features_tell_the_classes_too():
    """Two clouds of features, three labels: the means become those of the clouds' latents."""
    truth, vae, _, features = scaled_truth()
    far = features + np.where(np.arange(200) % 2, 40.0, 0.0)[:, None] * truth.weights[:, 0]
    sides = np.arange(200) % 2
    few = np.array([0, 1, 3])
    rest = np.setdiff1d(np.arange(200), few)
    found = vae.fit_classes(far[few], sides[few], far[rest], unlabelled_weight=1.0)
    latents = np.asarray(vae.encode(far).mean())
    for each in (0, 1):
        expected = latents[sides == each].mean(axis=0)
        np.testing.assert_allclose(vae.class_means[each], expected, atol=1e-3)
    np.testing.assert_array_equal(found.probabilities.argmax(axis=1), sides[rest])
    np.testing.assert_allclose(found.proportions, np.bincount(sides[rest]) / 197, atol=1e-6)
    factor = vae.class_factor.numpy()
    np.testing.assert_allclose(factor @ factor.T, found.covariance, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="Received: unlabelled_weight=-1"):
        vae.fit_classes(far[few], sides[few], far[rest], unlabelled_weight=-1)
    assert vae.fit_classes(far[few], sides[few]).bounds == ()
    np.testing.assert_allclose(vae.class_means[0], latents[0], atol=1e-4)
