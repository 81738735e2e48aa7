"""Losses of validation have the parts of those in training: penalties of weights and of slopes."""

from typing import Any

import keras
import numpy as np
import pytest

from keras_transgen.generative.adversarial.conditional_gan import ConditionalGAN
from keras_transgen.generative.adversarial.gan import GAN
from keras_transgen.generative.translation.cyclegan import CycleGAN
from keras_transgen.generative.translation.degradations import Noise
from keras_transgen.generative.translation.enhancement import Enhancer
from keras_transgen.generative.translation.pix2pix import Pix2Pix
from keras_transgen.generative.vae import VAE
from tests.generative.adversarial.adversarial_models import IMAGES, LABELS
from tests.harness import ModelCase, check_validation_logs


def dense(inputs: Any, shape: tuple[int, ...], activation: str | None = None) -> keras.Model:
    """A network with a penalty that no loss could hide."""
    layer = keras.layers.Dense(
        int(np.prod(shape)), activation, kernel_regularizer=keras.regularizers.L2(0.5)
    )
    return keras.Sequential(
        [keras.Input(inputs), keras.layers.Flatten(), layer, keras.layers.Reshape(shape)]
    )


def translator() -> keras.Model:
    return dense((8, 8, 1), (8, 8, 1))


def patches() -> keras.Model:
    return dense((8, 8, 1), (2, 2, 1))


def gan(**kwargs: Any) -> GAN:
    return GAN(
        (8, 8, 1),
        4,
        generator=dense((4,), (8, 8, 1), "tanh"),
        discriminator=dense((8, 8, 1), (1,)),
        **kwargs,
    )


def conditional(classifies: bool) -> ConditionalGAN:
    return ConditionalGAN(
        num_classes=3,
        image_shape=(8, 8, 1),
        latent_dim=4,
        filters=2,
        auxiliary_classifier=classifies,
        embedding_dim=3,
        gradient_penalty="wgan_gp",
    )


PAIRS = (IMAGES, IMAGES[::-1].copy())
CASES = {
    "gan": (gan, (IMAGES,)),
    "gan, two-stage": (lambda: gan(step="two_stage", loss="relativistic_average"), (IMAGES,)),
    "gan, slopes on lines": (
        lambda: gan(gradient_penalty="wgan_gp", loss="wasserstein"),
        (IMAGES,),
    ),
    "gan, slopes at images": (lambda: gan(gradient_penalty="r1"), (IMAGES,)),
    "conditional gan": (lambda: conditional(False), (IMAGES, LABELS)),
    "conditional gan, classifier": (lambda: conditional(True), (IMAGES, LABELS)),
    "cyclegan": (
        lambda: CycleGAN((8, 8, 1), None, translator(), translator(), patches(), patches()),
        PAIRS,
    ),
    "pix2pix": (
        lambda: Pix2Pix((8, 8, 1), generator=translator(), discriminator=patches()),
        PAIRS,
    ),
    "pix2pix, alone": (
        lambda: Pix2Pix((8, 8, 1), generator=translator(), adversarial_weight=0.0),
        PAIRS,
    ),
    # Its images leave the range, to which only what it hands out is clipped.
    "enhancer": (
        lambda: Enhancer((8, 8, 1), Noise(0.1), generator=translator(), value_range=(-1.0, 1.0)),
        (IMAGES,),
    ),
    "vae": (
        lambda: VAE((8, 8, 1), 2, "gaussian", dense((8, 8, 1), (6,)), dense((2,), (8, 8, 1))),
        (IMAGES,),
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.long
def test_validation_has_the_penalties_of_training(name, tools):
    make, data = CASES[name]
    check_validation_logs(ModelCase(make=make, data=data), tools)
