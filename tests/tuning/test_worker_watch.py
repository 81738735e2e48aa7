"""The watch over workers, where there are none; real ones are in test_real_searches.py."""

import threading

import pytest

from keras_transgen.tuning import watch_workers


def test_alone_nothing_is_watched():
    before = threading.active_count()
    with watch_workers(tuner=None):
        assert threading.active_count() == before


@pytest.mark.parametrize("patience", [0, -1.0])
def test_a_patience_that_is_none(patience):
    with pytest.raises(ValueError, match="patience must be above zero"):
        with watch_workers(None, patience=patience):
            pass


@pytest.mark.slow
def test_a_worker_gives_signs_and_takes_leave(monkeypatch, tmp_path):
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "tuner3")

    class Tuner:
        project_dir = str(tmp_path)
        tuner_id = "tuner3"

    file = tmp_path / "tuner3.alive"
    said = set()
    with watch_workers(Tuner(), patience=0.08):
        waiting = threading.Event()
        while len(said) < 3:
            waiting.wait(0.005)
            if file.exists():
                said.add(file.read_text())
    assert not file.exists()
