"""Models killed by SIGKILL and resumed end as if they had run on.

Here: pretrained and translating parts, with dropout masks, image pools and styles by chance.
"""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.fusion.resume_worker import CASES, STEPS, run

# Processes of their own.
pytestmark = pytest.mark.long

AT_ONCE = 3


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Backups of one run of each model, killed within its second epoch; some run side by side."""
    folders = {name: tmp_path_factory.mktemp("killed") / "backup" for name in CASES}
    command = [sys.executable, "-m", "tests.fusion.resume_worker"]
    root = Path(__file__).parents[2]
    names = list(CASES)
    for start in range(0, len(names), AT_ONCE):
        processes = [
            subprocess.Popen([*command, name, str(folders[name])], cwd=root)
            for name in names[start : start + AT_ONCE]
        ]
        codes = [process.wait(timeout=300) for process in processes]
        assert codes == [-signal.SIGKILL] * len(processes)
    return folders


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_killed_run_ends_as_one_that_was_not(name, killed):
    assert (killed[name] / "latest.weights.h5").exists()
    expected = run(name, None, kill=False)
    resumed = run(name, str(killed[name]), kill=False)
    assert int(resumed.progress.step.numpy()) == STEPS
    for one, other in zip(expected.weights, resumed.weights, strict=True):
        np.testing.assert_allclose(
            one.numpy(), other.numpy(), rtol=1e-4, atol=1e-6, err_msg=one.path
        )
