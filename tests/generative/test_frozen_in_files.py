"""A file keeps what was frozen of networks that the model made, and the optimizers' state."""

import keras
import numpy as np
import pytest

from keras_transgen import load_model
from keras_transgen.generative.adversarial.conditional_gan import ConditionalGAN
from keras_transgen.generative.adversarial.gan import GAN
from keras_transgen.generative.translation.cyclegan import CycleGAN
from keras_transgen.generative.translation.degradations import Noise
from keras_transgen.generative.translation.enhancement import Enhancer
from keras_transgen.generative.translation.pix2pix import Pix2Pix
from tests.generative.adversarial.adversarial_models import IMAGES, LABELS

SETTINGS = {"filters": 2, "value_range": (-1.0, 1.0)}
MODELS = {
    "gan": (lambda: GAN((8, 8, 1), 4, **SETTINGS), (IMAGES,)),
    "conditional gan": (
        lambda: ConditionalGAN(3, (8, 8, 1), latent_dim=4, embedding_dim=3, **SETTINGS),
        (IMAGES, LABELS),
    ),
    "cyclegan": (lambda: CycleGAN((8, 8, 1), blocks=1, **SETTINGS), (IMAGES, IMAGES)),
    "pix2pix": (lambda: Pix2Pix((8, 8, 1), **SETTINGS), (IMAGES, IMAGES)),
    "enhancer": (lambda: Enhancer((8, 8, 1), Noise(0.1), blocks=1, **SETTINGS), (IMAGES,)),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.long] if n == "cyclegan" else []) for n in MODELS],
)
def test_what_was_frozen_stays_frozen_in_a_file(name, tmp_path):
    make, data = MODELS[name]
    model = make()
    model.fit(*data, batch_size=12, verbose=0)
    assert not any(model.get_config()[network] for network in model._handed_in)
    frozen = 0
    for network in (*model.generator_layers, *model.discriminator_layers):
        if isinstance(network, keras.Model):
            layer = next(layer for layer in network.layers if layer.trainable_weights)
            frozen += len(layer.trainable_weights)
            layer.trainable = False
    everything = len(model.trainable_variables) + frozen
    model.fit(*data, batch_size=12, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert len(loaded.trainable_variables) == everything - frozen
    for ours, theirs in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    for (ours, _), (theirs, _) in zip(model.optimized(), loaded.optimized(), strict=True):
        for one, other in zip(ours.variables, theirs.variables, strict=True):
            np.testing.assert_array_equal(one.numpy(), other.numpy())
    loaded.fit(*data, batch_size=12, verbose=0)
