"""A model of texts killed by SIGKILL and resumed ends as the run that was not killed."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.sequences.resume_worker import MODELS, run

# Processes of their own.
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Backups of one run of each model, killed between two epochs' ends; all run side by side."""
    folders = {name: tmp_path_factory.mktemp(name) / "backup" for name in MODELS}
    command = [sys.executable, "-m", "tests.sequences.resume_worker"]
    root = Path(__file__).parents[2]
    started = [
        subprocess.Popen([*command, name, str(folder)], cwd=root)
        for name, folder in folders.items()
    ]
    assert [process.wait(timeout=300) for process in started] == [-signal.SIGKILL] * len(MODELS)
    return folders


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_killed_run_goes_on_where_it_was(name, killed):
    """Order, windows, dropout, hidden words, noise and schedules included, bit by bit."""
    assert (killed[name] / "latest.weights.h5").exists()
    expected = run(name, None, kill=False)
    resumed = run(name, str(killed[name]), kill=False)
    for part, arrays in expected.items():
        assert len(arrays) == len(resumed[part]) > 0
        for one, other in zip(arrays, resumed[part]):
            np.testing.assert_array_equal(one, other, err_msg=part)
