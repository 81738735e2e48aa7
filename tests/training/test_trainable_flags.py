"""What is frozen is frozen in a file, and the optimizer's state comes with it."""

import warnings

import keras
import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.training.trainable_flags import set_trainable_flags, trainable_flags
from keras_transgen.transfer import ParameterTransfer
from tests.training.models import TwoPlayers

IMAGES, LABELS = ktg.datasets.load_digits()
IMAGES, LABELS = IMAGES[:32], LABELS[:32]


def freeze_head(model):
    model.head.trainable = False


def freeze_first_layer(model):
    next(layer for layer in model.backbone.network.layers if layer.weights).trainable = False


def freeze_one_weight(model):
    model.head.weights[0].trainable = False


def freeze_groups(model):
    model.backbone.freeze_to(1)


@pytest.mark.slow
@pytest.mark.parametrize("when", [pytest.param("before fit", marks=pytest.mark.long), "after fit"])
@pytest.mark.parametrize(
    "freeze", [freeze_head, freeze_first_layer, freeze_one_weight, freeze_groups]
)
def test_a_file_keeps_what_is_frozen_and_the_state_of_the_rest(freeze, when, tmp_path):
    model = ParameterTransfer("digits", 10, head_initialization="random", seed=0)
    model.compile(keras.optimizers.Adam(1e-3))
    trained = len(model.trainable_variables)
    for step in ("before fit", "fit", "after fit"):
        if step == when:
            freeze(model)
        elif step == "fit":
            model.fit(IMAGES, LABELS, batch_size=16, verbose=0)
    model.save(tmp_path / "m.keras")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Skipping variable loading")
        loaded = ktg.load_model(tmp_path / "m.keras")
    assert len(loaded.trainable_variables) == len(model.trainable_variables) < trained
    assert [w.trainable for w in loaded.weights] == [w.trainable for w in model.weights]
    assert int(loaded.optimizer.iterations) == 2
    for one, other in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
    frozen = {i: w.numpy() for i, w in enumerate(loaded.weights) if not w.trainable}
    loaded.fit(IMAGES, LABELS, batch_size=16, verbose=0)
    moving = [i for i, w in enumerate(loaded.weights) if "moving" in w.path]
    for index, value in frozen.items():
        if index not in moving:
            np.testing.assert_array_equal(value, loaded.weights[index].numpy())


def test_what_was_unfrozen_since_the_constructor_trains_after_loading(tmp_path):
    model = ktg.TransferModel("digits", 10)
    assert not model.backbone.trainable
    model.backbone.trainable = True
    model.save(tmp_path / "m.keras")
    loaded = ktg.load_model(tmp_path / "m.keras")
    assert loaded.backbone.trainable
    assert len(loaded.trainable_variables) == len(model.trainable_variables) > 2


@pytest.mark.parametrize(
    "make",
    [
        lambda: ktg.GAN((6,), 4, filters=4, seed=0),
        lambda: ktg.VAE((6,), 2, likelihood="gaussian", seed=0),
        lambda: ktg.CycleGAN((8, 8, 1), filters=2, blocks=1, seed=0),
        lambda: ktg.Pix2Pix((8, 8, 1), filters=2, seed=0),
    ],
)
def test_default_networks_stay_frozen_in_a_file(make, tmp_path):
    model = make()
    part = getattr(model, "discriminator", None) or getattr(model, "encoder", None)
    part = part or model.discriminator_a
    part.trainable = False
    model.save(tmp_path / "m.keras")
    loaded = ktg.load_model(tmp_path / "m.keras")
    assert trainable_flags(loaded) == trainable_flags(model)
    assert [w.trainable for w in loaded.weights] == [w.trainable for w in model.weights]
    assert 0 < len(loaded.trainable_variables) < len(make().trainable_variables)


def test_a_model_of_ones_own_needs_to_know_nothing(tmp_path):
    model = TwoPlayers()
    model.generator.layers[0].trainable = False
    again = TwoPlayers.from_config(model.get_config())
    assert not again.generator.layers[0].trainable
    assert again.generator.layers[-1].trainable


def test_a_file_without_flags_leaves_what_the_constructor_says():
    config = ktg.TransferModel("digits", 10).get_config()
    del config["trains"]
    model = ktg.TransferModel.from_config(config)
    assert not model.backbone.trainable
    assert len(model.trainable_variables) == 2


@pytest.mark.parametrize("flags", ["11", {"layers": "1"}, {"layers": "12", "weights": "1"}, [1]])
def test_flags_that_are_none(flags):
    with pytest.raises(ValueError, match="texts of 0 and 1"):
        set_trainable_flags(TwoPlayers(), flags)


def test_flags_of_another_structure():
    model = TwoPlayers()
    before = trainable_flags(model)
    with pytest.warns(UserWarning, match="more or fewer layers"):
        set_trainable_flags(model, {"layers": "00", "weights": "0"})
    assert trainable_flags(model) == before
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        set_trainable_flags(model, {"layers": "11", "weights": "1"})


@pytest.mark.parametrize("kind", ["transfer", "vae", "gan"])
def test_a_model_of_which_nothing_trains(kind):
    if kind == "transfer":
        model = ktg.TransferModel("digits", 10)
    else:
        model = ktg.VAE((8, 8, 1), 2) if kind == "vae" else ktg.GAN((8, 8, 1), 2, filters=2)
    model.trainable = False
    with pytest.raises(ValueError, match="Nothing in this model trains"):
        model.fit(IMAGES, *([LABELS] if kind == "transfer" else []), verbose=0)
