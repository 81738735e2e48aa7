"""Keras' own callbacks do on every model of the package what they do on Keras' models."""

import csv
import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.fusion import FeatureGAN, FeatureVAE, PretrainedVAE
from keras_transgen.generative.networks import dense_decoder, dense_encoder
from keras_transgen.generative.translation import Noise
from tests.generative.adversarial.adversarial_models import tiny_conditional_gan, tiny_gan
from tests.generative.translation.style_models import small_backbone, stripes
from tests.generative.translation.test_cyclegan import judge, translator
from tests.transfer.tiny import IMAGES, LABELS, backbone

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(24, 5)).astype("float32")
SIGNED = RNG.uniform(-1, 1, (24, 8, 8, 1)).astype("float32")
COLOUR = RNG.uniform(size=(24, 8, 8, 3)).astype("float32")
RATE = 0.01


@dataclasses.dataclass
class Case:
    """A model, its data, what is watched, and what it makes that tells its weights."""

    make: Callable[[], Any]
    data: tuple
    monitor: str = "loss"
    outputs: Callable[[Any], Any] = lambda model: model.sample(3, seed=0)

    def ready(self) -> Any:
        keras.utils.set_random_seed(0)
        model = self.make()
        optimizers = [keras.optimizers.Adam(RATE) for _ in self.optimizer_names()]
        # XLA compiles slowly, and the callbacks do not see it.
        model.compile(*optimizers, jit_compile=False)
        return model

    def optimizer_names(self) -> list[str]:
        return ["generator", "discriminator"] if "generator" in self.monitor else ["only"]


def classified(model):
    return model.predict(IMAGES, verbose=0)


def tiny_vae() -> ktg.VAE:
    networks = dense_encoder((8, 8, 1), (6,)), dense_decoder(2, (8, 8, 1), (6,))
    return ktg.VAE((8, 8, 1), 2, "bernoulli", *networks)


def tiny_style() -> ktg.StyleTransfer:
    layers = {"content_layers": ["second"], "style_layers": ["first"], "filters": 2, "blocks": 1}
    images = {"image_shape": (8, 8, 3), "value_range": (0.0, 1.0)}
    return ktg.StyleTransfer(stripes(), small_backbone(), **images, **layers)


def tiny_cyclegan() -> ktg.CycleGAN:
    return ktg.CycleGAN((8, 8, 1), None, translator(), translator(), judge(), judge())


LABELLED = (IMAGES, LABELS)
CASES = {
    "transfer": Case(lambda: ktg.TransferModel(backbone(), 3), LABELLED, outputs=classified),
    "parameter": Case(
        lambda: ktg.ParameterTransfer(backbone(), 3, head_initialization="random"),
        LABELLED,
        outputs=classified,
    ),
    "structure": Case(
        lambda: ktg.StructureTransfer(backbone(), 3, rank=2, head_initialization="random"),
        LABELLED,
        outputs=classified,
    ),
    "vae": Case(tiny_vae, (IMAGES,)),
    "feature_vae": Case(lambda: FeatureVAE(5, latent_dim=2), (VECTORS,)),
    "pretrained_vae": Case(lambda: PretrainedVAE(backbone(), (8, 8, 1), 2), (IMAGES,)),
    "gan": Case(tiny_gan, (SIGNED,), "generator_loss"),
    "conditional_gan": Case(
        tiny_conditional_gan,
        (SIGNED, LABELS),
        "generator_loss",
        lambda model: model.sample(np.arange(3), seed=0),
    ),
    "feature_gan": Case(
        lambda: FeatureGAN(3, 5, latent_dim=2, filters=2),
        (VECTORS, LABELS),
        "generator_loss",
        lambda model: model.sample(np.arange(3), seed=0),
    ),
    "pix2pix": Case(
        lambda: ktg.Pix2Pix((8, 8, 1), filters=2),
        (SIGNED, -SIGNED),
        "generator_loss",
        lambda model: model.predict(SIGNED[:3], verbose=0),
    ),
    "cyclegan": Case(
        tiny_cyclegan, (SIGNED, -SIGNED), "generator_loss", lambda model: model.a_to_b(SIGNED[:3])
    ),
    "enhancer": Case(
        lambda: ktg.Enhancer((8, 8, 1), Noise(0.1), filters=2, blocks=1),
        (IMAGES,),
        "generator_loss",
        lambda model: model.enhance(IMAGES[:3]),
    ),
    "style": Case(tiny_style, (COLOUR,), outputs=lambda model: model.stylize(COLOUR[:3])),
}
QUICK = ("vae",)
PARAMETERS = [
    pytest.param(case, id=name, marks=[] if name in QUICK else [pytest.mark.long])
    for name, case in CASES.items()
]


class Killed(Exception):
    """What a run dies of."""


class Kill(keras.callbacks.Callback):
    """Ends the run as its third epoch begins."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise Killed


def tags(folder) -> set[str]:
    """Names of what TensorBoard's files in a folder hold."""
    return {
        value.tag
        for path in folder.glob("events*")
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    }


@pytest.mark.slow
@pytest.mark.parametrize("case", PARAMETERS)
def test_callbacks(case, tmp_path):
    # No epoch improves on the first by so much: the rate falls, and then the run ends.
    never = {"monitor": case.monitor, "mode": "min", "min_delta": 1e9}
    callbacks = [
        keras.callbacks.ModelCheckpoint(tmp_path / "epoch_{epoch}.keras"),
        keras.callbacks.ReduceLROnPlateau(**never, factor=0.5, patience=1),
        keras.callbacks.EarlyStopping(**never, patience=1, restore_best_weights=True),
        keras.callbacks.BackupAndRestore(tmp_path / "backup"),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.TensorBoard(tmp_path / "board", histogram_freq=1, profile_batch=0),
    ]
    model = case.ready()
    history = model.fit(*case.data, batch_size=8, epochs=4, verbose=0, callbacks=callbacks).history

    assert len(history[case.monitor]) == 2
    with open(tmp_path / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row[case.monitor]) for row in rows] == pytest.approx(history[case.monitor])

    optimizers = getattr(model.optimizer, "optimizers", [model.optimizer])
    assert len(optimizers) == len(case.optimizer_names())
    assert [float(each.learning_rate) for each in optimizers] == pytest.approx(
        [RATE / 2] * len(optimizers)
    )

    first = ktg.load_model(tmp_path / "epoch_1.keras")
    np.testing.assert_allclose(case.outputs(model), case.outputs(first), rtol=1e-4, atol=1e-5)

    found = tags(tmp_path / "board" / "train")
    assert f"epoch_{case.monitor}" in found
    assert any("/histogram" in tag or "kernel" in tag for tag in found)
    assert any("learning_rate" in tag for tag in found)
    # A run that ends well leaves no backup.
    assert not list((tmp_path / "backup").glob("*"))


@pytest.mark.parametrize("case", PARAMETERS)
@pytest.mark.long
def test_a_killed_run_goes_on(case, tmp_path):
    settings = {"batch_size": 8, "epochs": 3, "verbose": 0}
    backup = keras.callbacks.BackupAndRestore(tmp_path)
    with pytest.raises(Killed):
        case.ready().fit(*case.data, **settings, callbacks=[backup, Kill()])
    model = case.ready()
    backup = keras.callbacks.BackupAndRestore(tmp_path)
    history = model.fit(*case.data, **settings, callbacks=[backup])
    assert history.epoch == [2]
    if case in (CASES["vae"], CASES["gan"]):
        # Of the others, tests/training/test_resume.py and tests/generative/test_resume.py say it.
        whole = case.ready()
        whole.fit(*case.data, **settings)
        np.testing.assert_allclose(case.outputs(model), case.outputs(whole), rtol=1e-3, atol=1e-4)


def test_feature_transfer_shows_its_one_epoch(tmp_path):
    model = ktg.FeatureTransfer(backbone(), 3, l2=0.01)
    callbacks = [
        keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", save_best_only=True),
        keras.callbacks.EarlyStopping(patience=1),
        keras.callbacks.ReduceLROnPlateau(patience=1),
        keras.callbacks.BackupAndRestore(tmp_path / "backup"),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.TensorBoard(tmp_path / "board"),
    ]
    model.fit(*LABELLED, validation_data=LABELLED, verbose=0, callbacks=callbacks)
    best = ktg.load_model(tmp_path / "best.keras")
    np.testing.assert_allclose(classified(best), classified(model), rtol=1e-5)
    assert (tmp_path / "log.csv").read_text().startswith("epoch,accuracy")
    assert "epoch_accuracy" in tags(tmp_path / "board" / "train")
    assert "epoch_accuracy" in tags(tmp_path / "board" / "validation")


def test_tensorboard_receives_profile_and_graph(tmp_path):
    model = tiny_vae()
    model.compile(steps_per_execution=1)
    board = keras.callbacks.TensorBoard(tmp_path, profile_batch=2, write_steps_per_second=True)
    grid = ktg.callbacks.SampleGrid(None, count=4, log_dir=tmp_path)
    projector = ktg.callbacks.LatentProjector(tmp_path, IMAGES, LABELS)
    model.fit(IMAGES, batch_size=8, verbose=0, callbacks=[board, grid, projector])
    assert list((tmp_path / "train" / "plugins" / "profile").rglob("*.xplane.pb"))
    train = tags(tmp_path / "train")
    assert "batch_2" in train, "the graph of the step, which Keras traces with the profile"
    assert "epoch_steps_per_second" in train
    assert "SampleGrid" in tags(tmp_path)
    assert (tmp_path / "projector_config.pbtxt").exists()
