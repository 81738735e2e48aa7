"""A worker waits for its chief, not for ever, and says for whom."""

import socket
import time

import pytest

from keras_transgen.tuning.chief import role, wait_for_chief
from tests.training.workers import free_ports


@pytest.fixture
def worker(monkeypatch):
    """This process as a worker of a search; returns the chief's port."""
    (port,) = free_ports(1)
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "tuner7")
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", str(port))
    return port


def test_roles(monkeypatch):
    assert role() == "alone"
    assert wait_for_chief() is None
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    assert role() == "chief"
    assert wait_for_chief() is None


def test_silence_ends_with_the_address(worker):
    start = time.monotonic()
    with pytest.raises(ConnectionError, match=rf"127\.0\.0\.1:{worker}.*tuner\.search"):
        wait_for_chief(0.6)
    assert 0.6 <= time.monotonic() - start < 5.0


def test_a_port_that_listens_is_found(worker):
    with socket.create_server(("127.0.0.1", worker)):
        assert wait_for_chief(5.0) == f"127.0.0.1:{worker}"


def test_a_port_that_is_none(worker, monkeypatch):
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "http")
    with pytest.raises(ValueError, match=r"KERASTUNER_ORACLE_PORT.*http"):
        wait_for_chief()
