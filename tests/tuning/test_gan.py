"""Searches over GANs: what they compare is the samples."""

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.generative.adversarial.gradient_penalties import GRADIENT_PENALTIES
from keras_transgen.generative.adversarial.losses import ADVERSARIAL_LOSSES
from keras_transgen.tuning import ConditionalGANHyperModel, GANHyperModel
from keras_transgen.tuning.sample_distance import some_rows
from tests.tuning.tiny import few_digits

SMALL = {"filters": [2, 3], "latent_dim": 4, "augmentation": "none", "gradient_penalty": "none",
         "discriminator_steps": 1}  # fmt: skip
OF_CLASSES = {"generator_conditioning": "concatenation", "auxiliary_classifier": False,
              "embedding_dim": 4}  # fmt: skip


def features(images):
    return np.asarray(ktg.load_backbone("digits")(np.asarray(images, "float32")))


@pytest.mark.slow
def test_the_score_is_the_kernel_distance_of_the_best_models_samples(tmp_path):
    (x, _), (held_out, _) = few_digits()
    search = GANHyperModel((8, 8, 1), space=SMALL, samples=30, value_range=(0.0, 1.0))
    assert str(search.objective) == 'Objective(name="kernel_distance[digits]", direction="min")'
    tuner = keras_tuner.RandomSearch(
        search, search.objective, max_trials=2, seed=1, directory=str(tmp_path)
    )
    tuner.search(x, validation_data=held_out, batch_size=30, epochs=2, verbose=0)
    (best,) = tuner.get_best_models()
    best.save(tmp_path / "gan.keras")
    loaded = ktg.load_model(tmp_path / "gan.keras")
    (real,) = some_rows((held_out,), 30)
    real, generated = features(real), features(loaded.sample(30, seed=0))
    distance = ktg.evaluation.kernel_distance(real, generated)
    trial = tuner.oracle.get_best_trials()[0]
    assert trial.score == pytest.approx(float(distance), rel=1e-3)
    assert trial.score == pytest.approx(min(each.score for each in tuner.oracle.trials.values()))


@pytest.mark.slow
def test_a_conditional_search_samples_for_the_real_images_labels(tmp_path):
    (x, y), _ = few_digits()
    search = ConditionalGANHyperModel(
        (8, 8, 1), 10, space={**SMALL, **OF_CLASSES}, samples=30, value_range=(0.0, 1.0)
    )
    tuner = keras_tuner.RandomSearch(
        search, search.objective, max_trials=1, seed=1, directory=str(tmp_path)
    )
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(20)
    tuner.search(data, epochs=1, verbose=0)
    (best,) = tuner.get_best_models()
    assert isinstance(best, ktg.ConditionalGAN)
    images, labels = some_rows((data,), 30)
    generated = features(best.sample(labels, seed=0))
    distance = ktg.evaluation.kernel_distance(features(images), generated)
    assert tuner.oracle.get_best_trials()[0].score == pytest.approx(float(distance), rel=1e-3)


@pytest.mark.parametrize("name", ["generator_loss", "val_discriminator_loss"])
def test_a_loss_of_the_game_is_no_objective(tmp_path, name):
    (x, _), (held_out, _) = few_digits()
    search = GANHyperModel((8, 8, 1), space=SMALL, samples=30, value_range=(0.0, 1.0))
    tuner = keras_tuner.RandomSearch(
        search, keras_tuner.Objective(name, "min"), directory=str(tmp_path)
    )
    message = rf"says nothing about the samples.*kernel_distance\[digits\].*{name}"
    with pytest.raises(keras_tuner.errors.FatalValueError, match=message):
        tuner.search(x, validation_data=held_out, epochs=1, verbose=0)


def test_values_become_the_model_they_name():
    search = ConditionalGANHyperModel((8, 8, 3), 5, space={"jit_compile": True}, seed=2)
    hp = keras_tuner.HyperParameters()
    hp.values = {"latent_dim": 32, "filters": 16, "loss": "hinge", "gradient_penalty": "r1",
                 "gradient_penalty_weight": 0.1, "augmentation": "color,translation,cutout",
                 "generator_learning_rate": 3e-4, "discriminator_learning_rate": 5e-4,
                 "discriminator_steps": 2, "ema_decay": 0.99,
                 "generator_conditioning": "normalization",
                 "auxiliary_classifier": "True"}  # fmt: skip
    search.declare_hyperparameters(hp)
    model = search.build(hp)
    config = model.get_config()
    for name, value in {"latent_dim": 32, "filters": 16, "loss": "hinge", "gradient_penalty": "r1",
                        "gradient_penalty_weight": 0.1, "num_classes": 5,
                        "augmentation": "color,translation,cutout", "discriminator_steps": 2,
                        "ema_decay": 0.99, "generator_conditioning": "normalization",
                        "auxiliary_classifier": True}.items():  # fmt: skip
        assert config[name] == value, name
    rates = [model.generator_optimizer.learning_rate, model.discriminator_optimizer.learning_rate]
    assert [float(rate) for rate in rates] == pytest.approx([3e-4, 5e-4])
    assert float(model.generator_optimizer.beta_1) == 0.5
    # On a CPU convolutions are not compiled unless one says so.
    assert model.jit_compile is True


def test_vectors_are_compared_by_their_values():
    search = GANHyperModel((6,), space={"label_smoothing": [0.0, 0.1]})
    assert search.objective.name == "kernel_distance[values]"
    assert search.space["augmentation"] == "none"
    assert search.space["label_smoothing"] == [0.0, 0.1]


def test_a_network_of_ones_own_and_conditions_of_penalties():
    pixels = keras.layers.Flatten(name="pixels")
    search = GANHyperModel((8, 8, 1), extractor=pixels, space={"gradient_penalty": ["none"]})
    assert search.objective.name == "kernel_distance[pixels]"
    assert "gradient_penalty_weight" not in search.space


def test_a_registered_penalty_and_loss_can_be_searched_for(monkeypatch):
    monkeypatch.setitem(GRADIENT_PENALTIES, "of_my_own", GRADIENT_PENALTIES["r2"])
    monkeypatch.setitem(ADVERSARIAL_LOSSES, "of_my_own", ADVERSARIAL_LOSSES["hinge"])
    space = {"gradient_penalty": ["none", "of_my_own"], "loss": ["hinge", "of_my_own"]}
    search = GANHyperModel((8, 8, 1), extractor=keras.layers.Flatten(), space=space)
    assert search.space["gradient_penalty"] == ["none", "of_my_own"]
    assert search.space["gradient_penalty_weight"] == [0.1, 1.0, 10.0]
    hp = keras_tuner.HyperParameters()
    hp.values = {"gradient_penalty": "of_my_own", "loss": "of_my_own"}
    search.declare_hyperparameters(hp)
    assert search.build(hp).get_config()["gradient_penalty"] == "of_my_own"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"space": {"loss": []}}, "at least one choice"),
        ({"space": {"loss": ["hinge", "softmargn"]}}, "softmargn"),
        ({"space": {"step": "one_stage"}}, "one_stage"),
        ({"space": {"gradient_penalty": "gp"}}, "gp"),
        ({"samples": 1}, "samples must be a whole number from 2 up"),
        ({"generator": None}, "goes into space="),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        GANHyperModel((8, 8, 1), **arguments)
