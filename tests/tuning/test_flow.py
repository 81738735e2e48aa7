"""Searches over flows: samples are compared, for the labels of the real images."""

import keras
import keras_tuner
import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.tuning import FlowHyperModel
from keras_transgen.tuning.sample_distance import some_rows
from tests.tuning.tiny import few_digits


def features(images):
    return np.asarray(ktg.load_backbone("digits")(np.asarray(images, "float32")))


@pytest.mark.slow
def test_the_score_is_the_kernel_distance_of_samples_for_the_real_labels(tmp_path):
    (x, y), _ = few_digits()
    space = {"network": "unet", "width": [2, 4], "embedding_dim": 2}
    search = FlowHyperModel((8, 8, 1), 10, space=space, samples=20, value_range=(0.0, 1.0))
    tuner = keras_tuner.RandomSearch(
        search, search.objective, max_trials=1, seed=1, directory=str(tmp_path)
    )
    tuner.search(x, y, batch_size=30, epochs=1, verbose=0)
    (best,) = tuner.get_best_models()
    assert isinstance(best, ktg.FlowMatching)
    images, labels = some_rows((x, y), 20)
    distance = ktg.evaluation.kernel_distance(
        features(images), features(best.sample(labels, seed=0))
    )
    assert tuner.oracle.get_best_trials()[0].score == pytest.approx(float(distance), rel=1e-3)


def searched(folder, search, *data, **settings):
    tuner = keras_tuner.RandomSearch(
        search, search.objective, max_trials=2, seed=1, directory=str(folder), overwrite=True
    )
    tuner.search(*data, epochs=1, verbose=0, **settings)
    return [trial.score for trial in tuner.oracle.get_best_trials(2)]


def vectors():
    (x, y), _ = few_digits()
    return np.round(255 * x.reshape(-1, 64)).astype("uint8"), y


@pytest.mark.slow
def test_bytes_are_scaled_as_the_model_scales_them(tmp_path):
    x, y = vectors()
    space = {"width": 2, "times": "uniform", "embedding_dim": 2, "learning_rate": [1e-3, 2e-3]}
    search = FlowHyperModel((64,), 10, space=space, samples=20, value_range=(0.0, 1.0), seed=3)
    found = []
    for values in (x, x / np.float32(255)):
        keras.utils.set_random_seed(1)
        found.append(searched(tmp_path, search, values, y, batch_size=30))
    np.testing.assert_allclose(*found, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "conditions"),
    [
        ({"class_names": list("abcdefghij")}, lambda y: y),
        ({"condition_shape": (10,)}, lambda y: np.eye(10, dtype="float32")[y]),
    ],
)
def test_conditions_of_any_kind_are_scored(tmp_path, arguments, conditions):
    x, y = vectors()
    space = {"width": 2, "times": "uniform", "ema_decay": 0.9, "embedding_dim": 2}
    search = FlowHyperModel((64,), space=space, samples=20, value_range=(0.0, 1.0), **arguments)
    scores = searched(tmp_path, search, x, conditions(y), batch_size=30)
    assert len(scores) == 2
    assert np.isfinite(scores).all()


@pytest.mark.slow
def test_data_that_no_trial_takes_end_the_search(tmp_path):
    """Else each trial fails by itself, and the search ends as if all were well."""
    x, y = vectors()
    search = FlowHyperModel((64,), 10, samples=20, value_range=(0.0, 1.0))
    fatal = keras_tuner.errors.FatalValueError
    for data, message in (
        ((), "Received: no data"),
        ((x, y[:-1]), "same number of rows"),
        ((x, y + 1), "from 0 to 9"),
        ((x[:, :60], y), "60"),
        ((x / np.float32(1), y), r"value_range"),
        ((x[:1], y[:1]), "two of them at least. Received: 1 examples"),
    ):
        with pytest.raises(fatal, match=message):
            searched(tmp_path, search, *data)
    scores = searched(tmp_path, search, (x / 255.0).tolist(), y.tolist())
    assert np.isfinite(scores).all()


def test_values_become_the_model_they_name():
    search = FlowHyperModel((8, 8, 1), 5, space={"prediction": "noise"}, seed=2)
    hp = keras_tuner.HyperParameters()
    hp.values = {"network": "patch_transformer", "width": 16, "learning_rate": 5e-4,
                 "times": "uniform", "ema_decay": 0.99, "prediction": "noise"}  # fmt: skip
    asked = dict(hp.values)
    search.declare_hyperparameters(hp)
    model = search.build(hp)
    config = model.get_config()
    assert asked.pop("learning_rate") == pytest.approx(float(model.optimizer.learning_rate))
    assert {name: config[name] for name in asked} == asked
    assert config["num_classes"] == 5


def test_vectors_have_one_network():
    space = FlowHyperModel((6,)).space
    assert space["network"] == "dense"
    assert "embedding_dim" not in space
    assert FlowHyperModel((6,)).objective.name == "kernel_distance[values]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"space": {"network": "dense"}}, "dense"),
        ({"space": {"times": "cosine"}}, "cosine"),
        ({"samples": 1}, "samples=1"),
        ({"samples": 2.5}, "samples=2.5"),
        ({"every": None}, "every=None"),
        ({"space": {"width": [0, 8]}}, "whole numbers from 1 up.*Received: 0"),
        # A range is looked at by its ends: this one would fill all memory.
        ({"space": {"width": {"min_value": 0, "max_value": 10**12}}}, "from 1 up.*Received: 0"),
        ({"num_classes": 1}, "from 2 up.*num_classes=1"),
        ({"space": {"width": True}}, "whole numbers from 1 up.*Received: True"),
        ({"space": {"learning_rate": -1}}, "above 0.*Received: -1"),
        ({"space": {"learning_rate": float("nan")}}, "above 0.*Received: nan"),
        ({"space": {"ema_decay": [0.9, 2]}}, "below 1.*Received: 2"),
        ({"example_shape": 8}, "sizes, such as.*Received: 8"),
        ({"width": 3}, "width"),
        ({"example_shape": (2, 2, 2, 1)}, "4 dimensions"),
    ],
)
def test_what_cannot_be_searched_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        FlowHyperModel(**{"example_shape": (8, 8, 1), **arguments})
