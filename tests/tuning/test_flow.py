"""Searches over flows: samples are compared, for the labels of the real images."""

import keras_tuner
import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.tuning import FlowHyperModel
from keras_transgen.tuning.sample_distance import some_rows
from tests.tuning.tiny import few_digits


def features(images):
    return np.asarray(ktg.load_backbone("digits")(np.asarray(images, "float32")))


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
        ({"width": 3}, "width"),
        ({"example_shape": (2, 2, 2, 1)}, "4 dimensions"),
    ],
)
def test_what_cannot_be_searched_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        FlowHyperModel(**{"example_shape": (8, 8, 1), **arguments})
