"""Searches in real processes: a chief with two workers, and one that is killed and goes on."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras_tuner
import pytest

from keras_transgen.tuning import TransferHyperModel
from tests.training.workers import free_ports
from tests.tuning.tiny import few_digits, tiny_network

pytestmark = pytest.mark.long


def start(folder: Path, trials: int, kill_in: int = 0, seconds: float = 0.0, **environment: str):
    arguments = [str(folder), str(trials), str(kill_in), str(seconds)]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.tuning.search_worker", *arguments],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def trials_in(folder: Path) -> dict[str, dict]:
    files = sorted((folder / "search").glob("trial_*/trial.json"))
    return {file.parent.name: json.loads(file.read_text()) for file in files}


@pytest.mark.slow
def test_a_killed_search_goes_on_where_it_was(tmp_path):
    killed = start(tmp_path, trials=4, kill_in=3)
    output = killed.communicate(timeout=300)[0]
    assert killed.returncode == -signal.SIGKILL, output[-3000:]
    before = trials_in(tmp_path)
    assert [trial["status"] for trial in before.values()] == ["COMPLETED"] * 2 + ["RUNNING"]
    resumed = start(tmp_path, trials=4)
    output = resumed.communicate(timeout=300)[0]
    assert resumed.returncode == 0, output[-3000:]
    after = trials_in(tmp_path)
    assert [trial["status"] for trial in after.values()] == ["COMPLETED"] * 4
    # What was done is done, and the interrupted trial has the values it had.
    for name, trial in before.items():
        assert after[name]["hyperparameters"]["values"] == trial["hyperparameters"]["values"]
        if trial["status"] == "COMPLETED":
            assert after[name] == trial


@pytest.mark.slow
def test_a_chief_and_two_workers_one_of_them_killed(tmp_path):
    """The search ends, the lost trial is run by the other worker, and features are made once."""
    (port,) = free_ports(1)
    address = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(port)}
    options = {"folder": tmp_path, "trials": 8, "seconds": 1.5, **address}
    processes = {
        "chief": start(**options, KERASTUNER_TUNER_ID="chief"),
        "lives": start(**options, KERASTUNER_TUNER_ID="lives"),
        "dies": start(**options, kill_in=2, KERASTUNER_TUNER_ID="dies"),
    }
    try:
        outputs = {name: each.communicate(timeout=400)[0] for name, each in processes.items()}
    finally:
        for process in processes.values():
            process.kill()
    codes = {name: process.returncode for name, process in processes.items()}
    assert codes == {"chief": 0, "lives": 0, "dies": -signal.SIGKILL}, outputs
    assert "'dies' has given no sign of life" in outputs["chief"]
    trials = trials_in(tmp_path)
    assert [trial["status"] for trial in trials.values()] == ["COMPLETED"] * 8
    assert all(0.0 <= trial["score"] <= 1.0 for trial in trials.values())
    # One folder for the training and one for the validation data, though two workers began.
    assert len(list((tmp_path / "features").glob("features-*/manifest.json"))) == 2


def test_a_worker_whose_chief_is_gone_says_so(tmp_path, monkeypatch):
    """In this process: the chief's port closes while a trial trains."""
    (port,) = free_ports(1)
    train, validation = few_digits()
    with socket.create_server(("127.0.0.1", port)):
        monkeypatch.setenv("KERASTUNER_TUNER_ID", "tuner1")
        monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
        monkeypatch.setenv("KERASTUNER_ORACLE_PORT", str(port))
        search = TransferHyperModel(
            [tiny_network()], 10, space={"kind": "feature", "head": "linear"}, chief_timeout=0.5
        )
    hp = keras_tuner.HyperParameters()
    model = search.build(hp)
    begin = time.monotonic()
    with pytest.raises(keras_tuner.errors.FatalRuntimeError, match=rf"127\.0\.0\.1:{port}"):
        search.fit(hp, model, *train, validation_data=validation, verbose=0)
    assert time.monotonic() - begin < 30
