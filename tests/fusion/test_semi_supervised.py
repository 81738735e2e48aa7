"""M1: the posterior's mean as a backbone, and a classifier on it."""

import keras
import numpy as np
import pytest

from keras_transgen.backbones import KerasBackbone
from keras_transgen.fusion.feature_vae import FeatureVAE
from keras_transgen.fusion.semi_supervised import latent_backbone, semi_supervised_transfer
from keras_transgen.generative import VAE
from keras_transgen.generative.networks import dense_decoder, dense_encoder
from keras_transgen.transfer import FeatureTransfer, StructureTransfer
from tests.generative.models import LinearGaussian
from tests.transfer.tiny import IMAGES, LABELS, backbone


def tiny_vae(**kwargs):
    return VAE((8, 8, 1), 3, encoder=backbone(), **kwargs)


@pytest.mark.parametrize("kind", ["images", "features", "backbone"])
def test_gives_the_posterior_mean(kind):
    if kind == "features":
        examples = IMAGES.reshape(24, 64)[:, :6] * 10
        vae = FeatureVAE(6, latent_dim=2)
        vae.adapt(examples)
    else:
        examples = IMAGES
        vae = VAE((8, 8, 1), 3) if kind == "images" else tiny_vae()
    latent = latent_backbone(vae)
    assert isinstance(latent, KerasBackbone)
    np.testing.assert_allclose(latent(examples), vae.encode(examples).mean(), atol=1e-5)
    trainable = len(vae.trainable_weights)
    latent.trainable = True
    latent.weights[0].assign(latent.weights[0] + 1.0)
    assert len(vae.trainable_weights) == trainable
    assert not np.allclose(latent(examples), vae.encode(examples).mean(), atol=1e-3)


def test_a_linear_models_latents_are_known():
    truth = LinearGaussian()
    x = truth.data(30)
    expected = (x - truth.bias) @ truth.encode.T
    np.testing.assert_allclose(latent_backbone(truth.vae())(x), expected, atol=1e-5)


@pytest.mark.slow
def test_unlabelled_examples_teach_the_features():
    """Two classes along the direction of largest variance, which 2 labels cannot tell in 40."""
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    direction = rng.normal(size=40)
    direction *= 5 / np.linalg.norm(direction)
    x = (np.where(labels, 1, -1)[:, None] * direction + rng.normal(size=(400, 40)) * 0.9).astype(
        "float32"
    )
    networks = {"encoder": dense_encoder((40,), (16,)), "decoder": dense_decoder(2, (40,), (16,))}
    vae = FeatureVAE(40, latent_dim=2, seed=0, **networks)
    vae.compile(keras.optimizers.Adam(0.02), jit_compile=False)
    few = np.array([0, 1, 2, 3])
    model = semi_supervised_transfer(vae, x[:300], x[few], labels[few], 2, epochs=15)
    accuracy = (model.classify(x[300:], verbose=0) == labels[300:]).mean()
    assert isinstance(model, FeatureTransfer)
    assert accuracy > 0.97


@pytest.mark.slow
def test_files_and_other_kinds_of_transfer(tmp_path):
    model = semi_supervised_transfer(tiny_vae(), IMAGES, IMAGES, LABELS, 3, epochs=0)
    model.save(tmp_path / "m1.keras")
    loaded = keras.saving.load_model(tmp_path / "m1.keras")
    np.testing.assert_allclose(
        loaded.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0), atol=1e-5
    )
    other = StructureTransfer(latent_backbone(tiny_vae()), 3, rank=2)
    other.fit(IMAGES, LABELS, verbose=0)
    assert other.predict(IMAGES, verbose=0).shape == (24, 3)


def test_refuses_examples_of_another_shape():
    with pytest.raises(ValueError, match="unlabelled of shape"):
        semi_supervised_transfer(VAE((8, 8, 1), 3), IMAGES[:, :4], IMAGES, LABELS, 3)
