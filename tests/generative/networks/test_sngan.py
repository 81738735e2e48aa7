"""The residual pair: shapes, and a spectral norm of one after a pass."""

import keras
import numpy as np
import pytest

from keras_transgen.generative.networks.sngan import sngan_discriminator, sngan_generator
from tests.generative.adversarial.adversarial_models import IMAGES, tiny_gan
from tests.harness import ModelCase, check_replicas


@pytest.mark.parametrize("conditioning", ["normalization", "concatenation"])
def test_shapes(conditioning):
    generator = sngan_generator((8, 8, 1), 5, 2, embedding_dim=3, conditioning=conditioning)
    images = generator([np.ones((2, 5)), np.ones((2, 3))])
    assert images.shape == (2, 8, 8, 1)
    discriminator = sngan_discriminator((8, 8, 1), 2, 3, auxiliary_classes=4)
    logit, classes = discriminator([images.numpy(), np.ones((2, 3))])
    assert (logit.shape, classes.shape) == ((2, 1), (2, 4))


def test_spectral_norms_become_one():
    network = sngan_discriminator((8, 8, 1), 4)
    for _ in range(30):
        network(IMAGES, training=True)
    wrapped = [layer for layer in network.layers if "spectral" in layer.name]
    # Six convolutions, and the layer that gives the logit.
    assert len(wrapped) == 7
    for layer in wrapped:
        kernel = layer.normalized_kernel().numpy()
        norm = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)[0]
        assert norm == pytest.approx(1.0, abs=0.02)


def pair() -> keras.Model:
    generator = sngan_generator((8, 8, 1), 4, 2)
    discriminator = sngan_discriminator((8, 8, 1), 2)
    return tiny_gan(generator=generator, discriminator=discriminator, loss="hinge")


@pytest.mark.slow
def test_trains():
    gan = pair()
    history = gan.fit(IMAGES, batch_size=8, epochs=2, verbose=0).history
    assert np.isfinite(history["discriminator_loss"]).all()


@pytest.mark.slow
@pytest.mark.long
def test_compiled_on_two_replicas(tools):
    case = ModelCase(make=pair, data=(IMAGES,), outputs=("sample", (5, 0), {}), tolerance=None)
    check_replicas(case, tools)
