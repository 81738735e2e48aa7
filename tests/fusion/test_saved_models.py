"""A SavedModel, as TF-Hub serves it, as each pretrained part: on two replicas, and in a file."""

import functools

import keras
import numpy as np
import pytest

from keras_transgen.fusion import (
    PerceptualLoss,
    PretrainedVAE,
    ProjectedDiscriminator,
    backbone_generator,
)
from keras_transgen.generative.adversarial.gan import GAN
from keras_transgen.generative.translation import Pix2Pix, StyleTransfer
from tests.backbones import tiny_modules
from tests.generative.translation.style_models import stripes
from tests.harness import ModelCase, assert_equal_outputs, assert_mirrored

# Processes of their own.
pytestmark = pytest.mark.long

IMAGES = np.random.default_rng(0).uniform(0.0, 1.0, (16, 8, 8, 1)).astype("float32")
LAYERS = ["Relu"]


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    return str(tiny_modules.convolution_module(tmp_path_factory.mktemp("hub") / "module"))


def from_vectors(size: int, end: str | None = "sigmoid") -> keras.Model:
    layers = [keras.layers.Dense(64, end), keras.layers.Reshape((8, 8, 1))]
    return keras.Sequential([keras.Input((size,)), *layers])


def from_images() -> keras.Model:
    layer = keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid")
    return keras.Sequential([keras.Input((8, 8, 1)), layer])


def discriminator(module):
    judge = ProjectedDiscriminator(module, (8, 8, 1), LAYERS, channels=2, value_range=(0.0, 1.0))
    return GAN((8, 8, 1), 4, generator=from_vectors(4), discriminator=judge, value_range=(0.0, 1.0))


def encoder(module):
    return PretrainedVAE(
        module,
        (8, 8, 1),
        2,
        decoder=from_vectors(2, None),
        transfer="structure",
        rank=1,
        layers=LAYERS,
    )


def translator(module, **kwargs):
    settings = {"adversarial_weight": 0.0, "reconstruction_weight": 1.0, "value_range": (0.0, 1.0)}
    return Pix2Pix(**settings, **kwargs)


def loss(module):
    perceptual = PerceptualLoss(module, LAYERS, value_range=(0.0, 1.0))
    return translator(module, generator=from_images(), perceptual_loss=perceptual)


def generator(module):
    settings = {"layers": LAYERS, "filters": 2, "value_range": (0.0, 1.0)}
    return translator(module, generator=backbone_generator(module, (8, 8, 1), **settings))


def style(module):
    image, mixture = keras.Input((8, 8, 1)), keras.Input((1,))
    shade = keras.layers.Reshape((1, 1, 1))(keras.layers.Dense(1)(mixture))
    painted = keras.layers.Add()([from_images()(image), shade])
    return StyleTransfer(
        stripes(8)[..., :1],
        module,
        image_shape=(8, 8, 1),
        network=keras.Model([image, mixture], painted),
        value_range=(0.0, 1.0),
        content_layers=LAYERS,
        style_layers=LAYERS,
    )


def sgd(count):
    def compile_model(model, **kwargs):
        model.compile(*[keras.optimizers.SGD(1e-3) for _ in range(count)], **kwargs)

    return compile_model


PAIRS = (IMAGES, 1.0 - IMAGES)
CASES = {
    "discriminator": (discriminator, (IMAGES,), sgd(2), ("sample", (3, 0), {})),
    "encoder": (encoder, (IMAGES,), sgd(1), ("reconstruct", (IMAGES[:3],), {})),
    "loss": (loss, PAIRS, sgd(2), ("predict", (IMAGES[:3],), {"verbose": 0})),
    "generator": (generator, PAIRS, sgd(2), ("predict", (IMAGES[:3],), {"verbose": 0})),
    "style": (style, (IMAGES,), sgd(1), ("stylize", (IMAGES[:3],), {})),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_trains_on_two_replicas_and_serves_in_another_process(name, module, tools):
    make, data, compile_model, outputs = CASES[name]
    case = ModelCase(
        make=functools.partial(make, module),
        data=data,
        compile=compile_model,
        outputs=outputs,
    )
    with tools.two_replicas.scope():
        model = case.ready()
    before = [weight.numpy() for weight in model.trainable_weights]
    case.train(model, epochs=2)
    assert_mirrored(model)
    assert any(
        not np.array_equal(old, new.numpy()) for old, new in zip(before, model.trainable_weights)
    )
    # Used, and saved, as it came out of the strategy's scope.
    expected = case.result(model)
    assert all(np.isfinite(result).all() for result in expected)
    model.save(tools.folder / "model.keras")
    method, args, kwargs = outputs
    imports = ("keras_transgen.fusion", "keras_transgen.generative.translation")
    made = tools.fresh_process.call(
        tools.folder / "model.keras", method, *args, imports=imports, **kwargs
    )
    assert_equal_outputs(made, expected)
