"""Two real processes, started as Slurm would: killed, resumed, and asked to do unequal things."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.training.workers import free_ports

pytestmark = pytest.mark.long


def two_free_ports() -> int:
    """The first of two ports in a row, as the resolver counts them."""
    while True:
        (port,) = free_ports(1)
        with contextlib.suppress(OSError), socket.create_server(("", port + 1)):
            return port


def run_tasks(folder: Path, kill_in: str) -> tuple[list[int], list[str]]:
    """Run both tasks of a Slurm step on this machine; their return codes and what they printed."""
    port = two_free_ports()
    step = {
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_STEP_TASKS_PER_NODE": "2",
        "SLURMD_NODENAME": "localhost",
        "TEST_PORT_BASE": str(port),
    }
    tasks = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.distributed.slurm_task", str(folder), kill_in],
            cwd=Path(__file__).parents[2],
            env={**os.environ, **step, "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        outputs = [task.communicate(timeout=240)[0] for task in tasks]
    finally:
        for task in tasks:
            task.kill()
    return [task.returncode for task in tasks], outputs


@pytest.fixture(scope="module")
def resumed(tmp_path_factory):
    """What both tasks ended with, the first ones killed in the third epoch."""
    folder = tmp_path_factory.mktemp("slurm")
    codes, outputs = run_tasks(folder, "2")
    assert codes == [-signal.SIGKILL] * 2, "\n\n".join(outputs)
    assert (folder / "backup" / "latest.weights.h5").exists()
    codes, outputs = run_tasks(folder, "none")
    assert codes == [0, 0], "\n\n".join(outputs)
    told = [json.loads((folder / f"told_{rank}.json").read_text()) for rank in range(2)]
    return folder, told


@pytest.mark.slow
def test_killed_workers_go_on_from_what_the_first_one_saved(resumed):
    folder, told = resumed
    assert [each["epochs"] for each in told] == [[2, 3]] * 2
    weights = {
        (kind, rank): np.load(folder / f"{kind}_{rank}.npz")
        for kind in ("resumed", "whole")
        for rank in range(2)
    }
    # A run of the same two workers that nobody killed.
    whole = weights["whole", 0]
    assert len(whole) > 8
    for name, others in weights.items():
        for key in whole:
            np.testing.assert_array_equal(whole[key], others[key], err_msg=f"{name}, {key}")
    # It has served, and the first worker removed it.
    assert not (folder / "backup").exists()


@pytest.mark.slow
def test_unequal_workers_are_told_so_and_can_go_on(resumed):
    _, told = resumed
    for each in told:
        assert "worker 0 has ('float32[24, 5]'" in each["rows"]
        assert "worker 1 has ('float32[36, 5]'" in each["rows"]
        assert "tensorflow: worker 0 has 2.21.0; worker 1 has 2.21.1" in each["versions"]
        assert "1 examples a batch for 2 replicas" in each["small"]
    assert told[0]["loss"] == told[1]["loss"]
    assert np.isfinite(told[0]["loss"]).all()
