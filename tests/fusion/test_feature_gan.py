"""FeatureGAN: the harness, its scale, and a classifier that learns from its samples alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.linear_model import LogisticRegression

from keras_transgen.fusion.feature_gan import FeatureGAN
from keras_transgen.generative import ConditionalGAN
from tests.generative.adversarial.adversarial_models import IMPORTS, noise_of_examples
from tests.harness import (
    ModelCase,
    check_config_round_trip,
    check_frozen_between_fits,
    check_mixed_bfloat16,
    check_mixed_float16,
    check_right_weights_move,
    check_validation_logs,
)

RNG = np.random.default_rng(0)
FEATURES = (RNG.normal(size=(24, 5)) * [1, 20, 0.1, 3, 1] + [50, 0, 1, 0, 0]).astype("float32")
LABELS = np.arange(24) % 3


@keras.saving.register_keras_serializable(package="tests")
class FixedNoiseFeatureGAN(FeatureGAN):
    def draw_noise(self, data, seed, training):
        # Of standardised features, so that the numbers are of the size that noise has.
        x, y, _ = self.unpack(data)
        return noise_of_examples((x, y), super().draw_noise(data, seed, training))


CASE = ModelCase(
    make=lambda: FixedNoiseFeatureGAN(3, 5, latent_dim=4, filters=2, embedding_dim=3),
    data=(FEATURES, LABELS),
    compile=lambda model, **kwargs: model.compile(
        keras.optimizers.SGD(0.05), keras.optimizers.SGD(0.05), **kwargs
    ),
    outputs=("sample", (np.arange(3), 0), {}),
    imports=(*IMPORTS, "tests.fusion.test_feature_gan"),
    may_move=lambda path: "average" in path or "feature_scale" in path,
    tolerance=1e-4,
)


@pytest.mark.slow
# The others are the base's own, which passes them.
@pytest.mark.parametrize(
    "check",
    [
        check_config_round_trip,
        check_mixed_bfloat16,
        check_mixed_float16,
        check_frozen_between_fits,
        check_validation_logs,
        check_right_weights_move,
    ],
)
def test_model(check, tools):
    check(CASE, tools)


def test_samples_are_in_the_features_own_scale():
    gan = FeatureGAN(3, 5, latent_dim=4, filters=2, embedding_dim=3)
    before = gan.sample(np.zeros(400, int), seed=1)
    gan.adapt(FEATURES)
    after = gan.sample(np.zeros(400, int), seed=1)
    np.testing.assert_allclose(
        after, before * FEATURES.std(0) + FEATURES.mean(0), rtol=1e-3, atol=1e-3
    )
    latent = tf.ones([2, 4])
    expected = gan.generate(latent, (tf.constant([0, 1]),), False)
    np.testing.assert_allclose(
        gan((latent, tf.constant([0, 1]))), gan.feature_scale.inverse(expected), rtol=1e-5
    )


def test_a_second_fit_and_a_file_keep_the_scale(tmp_path, monkeypatch):
    monkeypatch.setattr(ConditionalGAN, "fit", lambda *args, **kwargs: None)
    gan = FeatureGAN(3, 5, latent_dim=4, filters=2)
    gan.fit(FEATURES, LABELS, verbose=0)
    gan.fit(FEATURES * 10, LABELS, verbose=0)
    np.testing.assert_allclose(gan.feature_scale.mean, FEATURES.mean(0), rtol=1e-5)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    assert loaded.feature_scale.adapted
    labels = np.arange(3)
    np.testing.assert_allclose(
        loaded.sample(labels, seed=0), gan.sample(labels, seed=0), rtol=1e-4, atol=1e-4
    )


@pytest.mark.slow
def test_a_classifier_learns_from_samples_alone():
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(3, 8)) * 3 + 10

    def rows(count):
        labels = np.arange(count) % 3
        return (centres[labels] + rng.normal(size=(count, 8))).astype("float32"), labels

    gan = FeatureGAN(3, 8, latent_dim=8, filters=16, ema_decay=0.98, seed=0)
    gan.compile(*[keras.optimizers.Adam(2e-3, beta_1=0.5) for _ in range(2)], jit_compile=False)
    gan.fit(*rows(300), batch_size=50, epochs=25, verbose=0)
    labels = np.arange(300) % 3
    samples = gan.sample(labels, seed=0)
    test_x, test_y = rows(600)
    assert LogisticRegression(max_iter=500).fit(samples, labels).score(test_x, test_y) > 0.93
    assert np.abs(samples.mean(0) - test_x.mean(0)).max() < 1.0


def test_refuses():
    with pytest.raises(ValueError, match=r"feature_dim must be given.*Received: feature_dim=None"):
        FeatureGAN(3)
    gan = FeatureGAN(3, 5, filters=2)
    with pytest.raises(ValueError, match=r"call adapt\(features\) first"):
        gan.fit(iter([FEATURES]))
    with pytest.raises(ValueError, match="Dataset without an end"):
        gan.fit(tf.data.Dataset.from_tensors((FEATURES, LABELS)).repeat())
    with pytest.raises(ValueError, match=r"\[batch, 5\]"):
        gan.fit(FEATURES[:, :4], LABELS)
