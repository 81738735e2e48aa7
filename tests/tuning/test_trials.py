"""The table of trials, of real trials of a real oracle; nothing is trained for it."""

import json

import keras_tuner
import pytest

import keras_transgen as ktg
from keras_transgen.tuning.trials import last_line


def searched(folder, direction, scores, space):
    """A tuner that was told a score (or a failure) for each trial, epoch by epoch."""
    tuner = keras_tuner.RandomSearch(
        lambda hp: None,
        keras_tuner.Objective("quality", direction),
        max_trials=len(scores),
        max_consecutive_failed_trials=len(scores) + 1,
        hyperparameters=space,
        directory=str(folder),
        seed=0,
    )
    for each in scores:
        trial = tuner.oracle.create_trial("tuner0")
        if isinstance(each, str):
            trial.status, trial.message = "FAILED", each
        else:
            for epoch, score in enumerate(each):
                tuner.oracle.update_trial(trial.trial_id, {"quality": score}, step=epoch)
            trial.status = "COMPLETED"
        tuner.oracle.end_trial(trial)
    return tuner


def space():
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["a", "b"])
    hp.Float("rate", 1e-3, 1e-1, sampling="log")
    return hp


SCORES = [[0.2, 0.5, 0.4], "Traceback\n  File\nValueError: too wide\n", [0.9], [0.1, 0.3]]


@pytest.mark.parametrize(
    ("direction", "expected"),
    [("max", [(0.9, 1), (0.5, 2), (0.3, 2)]), ("min", [(0.1, 1), (0.2, 1), (0.9, 1)])],
)
def test_the_best_come_first_and_failures_last(tmp_path, direction, expected):
    tuner = searched(tmp_path, direction, SCORES, space())
    rows = ktg.tuning.trial_table(tuner)
    assert [(row["score"], row["best_epoch"]) for row in rows[:3]] == expected
    assert [row["message"] for row in rows] == [None, None, None, "ValueError: too wide"]
    assert (rows[3]["status"], rows[3]["score"], rows[3]["best_epoch"]) == ("FAILED", None, None)
    # Keras Tuner's own order of the finished trials.
    assert [row["trial"] for row in rows[:3]] == [
        trial.trial_id for trial in tuner.oracle.get_best_trials(3)
    ]
    for row in rows:
        assert row["hyperparameters"] == tuner.oracle.trials[row["trial"]].hyperparameters.values
    assert json.loads(json.dumps(rows)) == rows


def test_marks_of_the_package_and_of_the_tuner_are_left_out(tmp_path):
    hp = space()
    ktg.tuning.VAEHyperModel((8, 8, 1), space={"latent_dim": [2, 3]}).declare_hyperparameters(hp)
    hp.Fixed("tuner/epochs", 3)
    (row,) = ktg.tuning.trial_table(searched(tmp_path, "min", [[1.0]], hp))
    assert {"kind", "rate", "latent_dim"} <= set(row["hyperparameters"])
    assert not {"search_space", "tuner/epochs"} & set(row["hyperparameters"])


def test_the_last_line_of_nothing():
    assert last_line(" \n") == "no message"
