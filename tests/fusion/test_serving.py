"""Exported models of features give features in their own scale."""

import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.fusion import FeatureGAN, PretrainedVAE, SemiSupervisedGAN
from tests.fusion.test_feature_vae import FEATURES, tiny
from tests.served import served

SEED = np.int64(3)


@pytest.mark.slow
def test_feature_vae(tmp_path):
    model = tiny(num_classes=3)
    model.adapt(FEATURES)
    model.fit_classes(FEATURES[:4], np.array([0, 2, 0, 2]))
    model.export(tmp_path)
    made = served(tmp_path, count=np.int32(4), seed=SEED)["samples"]
    np.testing.assert_allclose(made, model.sample(4, seed=3), rtol=1e-4, atol=1e-4)
    labels = np.array([2, 0, 2], "int32")
    made = served(tmp_path, "sample_classes", condition=labels, seed=SEED)["samples"]
    np.testing.assert_allclose(made, model.sample(labels, seed=3), rtol=1e-4, atol=1e-4)
    for unknown in (1, 3):
        with pytest.raises(tf.errors.InvalidArgumentError):
            served(tmp_path, "sample_classes", condition=labels - labels + unknown, seed=SEED)
    latents = served(tmp_path, "encode", inputs=FEATURES)["mean"]
    back = served(tmp_path, "decode", latents=latents)["mean"]
    np.testing.assert_allclose(back, model.predict(FEATURES, verbose=0), rtol=1e-4, atol=1e-4)


def test_feature_gan(tmp_path):
    model = FeatureGAN(3, 5, latent_dim=2, filters=2)
    model.adapt(FEATURES)
    labels = np.array([0, 2], "int32")
    model.export(tmp_path)
    made = served(tmp_path, condition=labels, seed=SEED)["samples"]
    np.testing.assert_allclose(made, model.sample(labels, seed=3), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_pretrained_vae(tmp_path):
    model = PretrainedVAE("digits", (8, 8, 1), latent_dim=2)
    images = np.random.default_rng(0).uniform(size=(3, 8, 8, 1)).astype("float32")
    model.export(tmp_path)
    encoded = served(tmp_path, "encode", inputs=images)["mean"]
    np.testing.assert_allclose(encoded, model.encode(images).mean(), rtol=1e-4, atol=1e-5)


def test_semi_supervised_gan(tmp_path):
    model = SemiSupervisedGAN(3, (5,), 2, width=2, value_range=(-99.0, 99.0))
    model.export(tmp_path)
    logits = served(tmp_path, inputs=FEATURES)["logits"]
    np.testing.assert_allclose(logits, model.predict(FEATURES, verbose=0), rtol=1e-4, atol=1e-5)
    made = served(tmp_path, "sample", count=np.int32(4), seed=SEED)["samples"]
    np.testing.assert_allclose(made, model.sample(4, seed=3), rtol=1e-4, atol=1e-5)
