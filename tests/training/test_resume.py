"""A run killed by SIGKILL and resumed ends with the weights of the run that was not killed."""

import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.training.resume_worker import data, model_under_test, run

# Processes of their own.
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def uninterrupted():
    return run(None, "epoch", None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("save_freq", "kill_at"),
    [("epoch", 8), ("1", 12), ("2", 14)],
    ids=["in the second epoch", "every step", "every second step"],
)
def test_killed_run_goes_on_where_it_was(tmp_path, uninterrupted, save_freq, kill_at):
    """5 steps an epoch, 4 epochs; dropout, batch normalization, Adam and shuffling included."""
    command = [sys.executable, "-m", "tests.training.resume_worker"]
    folder = str(tmp_path / "backup")
    killed = subprocess.run(
        [*command, folder, save_freq, str(kill_at)], cwd=Path(__file__).parents[2], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "backup" / "latest.weights.h5").exists()
    resumed = run(folder, save_freq, None)
    for one, other in zip(uninterrupted, resumed):
        np.testing.assert_array_equal(one, other)


def test_the_fit_after_a_resumed_one_begins_at_its_own_first_epoch(tmp_path):
    """Keras keeps the epoch at which a backup resumed, and begins every later `fit` there."""
    model = model_under_test()
    backup = keras.callbacks.BackupAndRestore(str(tmp_path / "backup"))

    class PullThePlug(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise ConnectionError

    def epochs_of_fit(epochs, *callbacks):
        options = {"batch_size": 8, "verbose": 0, "callbacks": [*callbacks]}
        return model.fit(*data(), epochs=epochs, **options).epoch

    with pytest.raises(ConnectionError):
        epochs_of_fit(2, backup, PullThePlug())
    assert epochs_of_fit(2, backup) == [1]
    before = int(model.progress.step.numpy())
    assert epochs_of_fit(1) == [0]
    assert int(model.progress.step.numpy()) == before + 5
