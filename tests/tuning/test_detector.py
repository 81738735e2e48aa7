"""Searches over detectors: what they compare is what is found in held-out images."""

import keras
import keras_tuner
import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.backbones import extraction
from keras_transgen.transfer.detection import BoxAugmentation
from keras_transgen.tuning import DetectorHyperModel
from tests.transfer.detection.scenes import SIZE, backbone, scenes

DATA, HELD_OUT = scenes(16), scenes(8, seed=1)
SMALL = {"transfer": "feature", "head_width": [2, 4], "head_depth": 1, "augmentation": "flip",
         "class_loss": "focal", "box_loss": "giou"}  # fmt: skip


def search_of(space=SMALL, **arguments):
    keras.utils.set_random_seed(3)
    return DetectorHyperModel(
        backbone(), 2, SIZE, (2, 4), space=space, max_boxes=4, max_detections=5, **arguments
    )


def tuner_of(search, folder, **arguments):
    limits = {"max_trials": 2, **arguments}
    return keras_tuner.RandomSearch(
        search, search.objective, seed=1, directory=str(folder), **limits
    )


def trial_values(search, **values):
    hp = keras_tuner.HyperParameters()
    hp.values = values
    search.declare_hyperparameters(hp)
    return hp


@pytest.mark.slow
@pytest.mark.long
def test_the_score_is_the_best_models_precision_and_features_are_extracted_once(
    tmp_path, monkeypatch
):
    runs = []
    run = extraction.extract_features

    def counted(*args, **kwargs):
        runs.append(kwargs["data_key"])
        return run(*args, **kwargs)

    monkeypatch.setattr("keras_transgen.transfer.detection.feature_views.extract_features", counted)
    tuner = tuner_of(search_of(), tmp_path)
    tuner.search(*DATA, validation_data=HELD_OUT, batch_size=8, epochs=3, verbose=0)
    trials = list(tuner.oracle.trials.values())
    assert [trial.status for trial in trials] == ["COMPLETED"] * 2, [t.message for t in trials]
    best = tuner.oracle.get_best_trials()[0]
    assert best.score == max(trial.score for trial in trials)
    (model,) = tuner.get_best_models()
    assert model.cache_dir is None
    model.save(tmp_path / "best.keras")
    loaded = ktg.load_model(tmp_path / "best.keras")
    assert loaded.evaluate(*HELD_OUT)["map50"] == pytest.approx(best.score, abs=1e-6)
    # Two views of the training images and one of the others, under the same names in both trials.
    assert len(runs) == 6
    assert runs[:3] == runs[3:]
    assert len(set(runs)) == 3


def test_values_become_the_model_they_name():
    choices = {"transfer": ["parameter", "structure"], "augmentation": ["none", "crop"]}
    search = search_of({**SMALL, **choices, "rank": [1, 2], "box_loss": ["giou", "ciou"]})
    hp = trial_values(search, transfer="structure", head_width=4, rank=2, box_loss="ciou",
                      augmentation="crop", learning_rate_factor=0.5)  # fmt: skip
    model = search.build(hp)
    config = model.get_config()
    asked = {"transfer": "structure", "head_width": 4, "head_depth": 1, "box_loss": "ciou",
             "rank": 2, "num_classes": 2, "image_size": SIZE}  # fmt: skip
    assert {name: config[name] for name in asked} == asked
    assert (model.augmentation.smallest_crop, model.augmentation.contrast) == (0.6, 0.2)
    # LoRA's own rate is 1e-3.
    assert model.default_rate == pytest.approx(5e-4)
    rate = model.default_optimizer(100)._learning_rate
    assert max(float(rate(step)) for step in range(100)) == pytest.approx(5e-4)
    hp = trial_values(search, transfer="parameter", head_width=2, box_loss="giou",
                      augmentation="none", learning_rate_factor=1.0)  # fmt: skip
    model = search.build(hp)
    assert model.augmentation is None
    assert model.default_rate == pytest.approx(3e-4)


@pytest.mark.slow
def test_an_augmentation_of_ones_own_and_a_network_that_stays_whole():
    own = BoxAugmentation(vertical=True)
    search = search_of({**SMALL, "transfer": "parameter", "augmentation": {"both": own}})
    hp = trial_values(search, head_width=2, learning_rate_factor=1.0)
    model = search.build(hp)
    assert model.augmentation.vertical
    network = search.backbones.shared("tiny_backbone")
    before = [np.asarray(each) for each in network.get_weights()]
    model.fit(*DATA, epochs=1, verbose=0)
    for one, other in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"space": {"depth": 3}}, "no such hyperparameter"),
        ({"space": {"transfer": "features"}}, "must be of"),
        ({"space": {"class_loss": "hinge"}}, "must be of"),
        ({"space": {"transfer": "feature", "rank": 2}}, "must be possible"),
        ({"head_width": 3}, "goes into space="),
        ({"width": 3}, "passes these arguments"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        search_of(**arguments)


def test_without_held_out_images_the_search_ends_before_it_trains(tmp_path):
    with pytest.raises(keras_tuner.errors.FatalValueError, match="validation_data"):
        tuner_of(search_of(), tmp_path).search(*DATA, epochs=1, verbose=0)
