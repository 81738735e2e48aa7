"""Searches that are stopped or killed in the middle of a trial, and gone on with."""

import json
import signal
import time

import keras
import keras_tuner
import numpy as np
import pytest

import keras_transgen as ktg
from keras_transgen.cli.tune import run_tune
from keras_transgen.cli.tune_record import SEARCH, SearchRecord, TimeIsOver
from keras_transgen.cli.tune_trials import TUNERS
from keras_transgen.datasets.screen import Screen
from tests.cli.test_resumable import finished, started, wait_for

OBJECTIVES = [0.1, 0.9, 0.2, 0.3]


class CountingModel(keras_tuner.HyperModel):
    """Its one weight is the number of the epoch, its objective what `OBJECTIVES` says."""

    def __init__(self, stop_in):
        super().__init__()
        self.stop_in = stop_in
        self.epochs = []

    def build(self, hp):
        hp.Int("size", 1, 3)
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
        model.compile("sgd", "mse")
        return model

    def fit(self, hp, model, *args, callbacks, **kwargs):
        search = self

        class Logs(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                if epoch == search.stop_in:
                    raise TimeIsOver
                search.epochs.append(epoch)

            def on_epoch_end(self, epoch, logs=None):
                self.model.set_weights([np.full((1, 1), float(epoch + 1))])
                logs["found"] = OBJECTIVES[epoch]

        return model.fit(*args, callbacks=[Logs(), *callbacks], **kwargs)


@pytest.mark.parametrize("algorithm", TUNERS)
@pytest.mark.parametrize("stop_in", [1, 3, None])
def test_the_best_epoch_of_all_runs_counts(tmp_path, algorithm, stop_in):
    def search(stop_in):
        tuner = TUNERS[algorithm](
            (model := CountingModel(stop_in)),
            keras_tuner.Objective("found", "max"),
            max_trials=1,
            seed=0,
            directory=str(tmp_path),
            project_name=SEARCH,
        )
        tuner.record, tuner.console = SearchRecord(tmp_path, {}), Screen()
        tuner.search(np.zeros((2, 1)), np.zeros((2, 1)), epochs=4, verbose=0)
        return tuner, model

    if stop_in is not None:
        with pytest.raises(TimeIsOver):
            search(stop_in)
        (trial,) = tmp_path.glob(f"{SEARCH}/trial_*")
        (trial / ".writing-abc").mkdir()
    tuner, model = search(None)
    assert model.epochs == list(range(stop_in or 0, 4))
    (row,) = ktg.tuning.trial_table(tuner)
    assert (row["score"], row["best_epoch"]) == (0.9, 2)
    (best,) = tuner.get_best_models()
    np.testing.assert_array_equal(best.get_weights()[0], [[2.0]])
    left = {path.name for path in tmp_path.glob(f"{SEARCH}/trial_*/*")}
    assert not left & {"unfinished", ".writing-abc"}


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_trial_that_is_killed_ends_as_one_that_was_not(number, tmp_path):
    """The digits lie in memory in one order, so the same batches come."""
    line = ["tune", "digits", "--trials", "1", "--epochs", "12", "--batch-size", "64",
            "--space", "kind=parameter", "--space", "learning_rate=0.0003",
            "--space", "augmentation=none", "--space", "layer_decay=1.0",
            "--space", "normalization=frozen"]  # fmt: skip
    process = started([*line, "--output", tmp_path / "killed"], tmp_path)
    metadata = "killed/search/trial_*/unfinished/checkpoint/training_metadata.json"
    wait_for(process, lambda: list(tmp_path.glob(metadata)))
    process.send_signal(number)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number), output
    assert "Traceback" not in output
    (backup,) = tmp_path.glob(metadata)
    assert 0 < json.loads(backup.read_text())["epoch"] < 12
    seconds = json.loads((tmp_path / "killed" / "settings.json").read_text())["seconds"]
    code, output = finished([*line, "--output", tmp_path / "killed"], tmp_path)
    assert code == 0, output
    assert "Going on with the unfinished run" in output
    assert finished([*line, "--output", tmp_path / "straight"], tmp_path)[0] == 0
    rows, models = [], []
    for name in ("killed", "straight"):
        report = json.loads((tmp_path / name / "report.json").read_text())
        rows.append(report["trials"][0])
        models.append(ktg.load_model(tmp_path / name / "model.keras"))
    assert rows[0]["best_epoch"] == rows[1]["best_epoch"]
    np.testing.assert_allclose(rows[0]["score"], rows[1]["score"], atol=1e-6)
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    after = json.loads((tmp_path / "killed" / "settings.json").read_text())["seconds"]
    assert after > seconds > 0


def test_minutes_are_those_of_all_runs(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    first = SearchRecord(tmp_path, {"images": "digits"}, minutes=2)
    first.begin()
    now[0] += 90
    first.end_with_time_or_signal()
    first.remember()
    now[0] += 500
    second = SearchRecord(tmp_path, {"images": "digits"}, minutes=2)
    assert second.seconds() == 90
    second.begin()
    now[0] += 29
    second.end_with_time_or_signal()
    now[0] += 1
    with pytest.raises(TimeIsOver):
        second.end_with_time_or_signal()
    third = SearchRecord(tmp_path, {"images": "digits"}, restart=True)
    assert third.seconds() == 0


def test_a_search_on_files_that_changed_is_not_gone_on_with(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.png").write_bytes(b"one")
    settings = {"images": str(tmp_path / "data")}
    SearchRecord(tmp_path / "out", settings).begin()
    SearchRecord(tmp_path / "out", settings)
    (tmp_path / "data" / "a.png").write_bytes(b"another")
    with pytest.raises(ValueError, match=r"must be the same.*state of the data"):
        SearchRecord(tmp_path / "out", settings)


@pytest.mark.parametrize("text", ["", "[]", '{"seconds": "many"}'])
def test_a_search_that_cannot_be_read(tmp_path, text):
    (tmp_path / "settings.json").write_text(text)
    with pytest.raises(ValueError, match="Begin anew with --restart"):
        SearchRecord(tmp_path, {})
    SearchRecord(tmp_path, {}, restart=True)


@pytest.mark.slow
def test_time_that_is_over_stays_over(digit_folder, tmp_path, capsys):
    options = {"image_size": 8, "batch_size": 8, "output": tmp_path, "trials": 1, "epochs": 2,
               "space": ["kind=parameter", "learning_rate=0.001"]}  # fmt: skip
    for _ in range(2):
        with pytest.raises(ValueError, match=r"with more --minutes goes on.*--minutes 1e-06"):
            run_tune(str(digit_folder), minutes=1e-6, **options)
    assert "minutes of search are over" in capsys.readouterr().out
    assert run_tune(str(digit_folder), minutes=10, **options)["best"]["score"] is not None
