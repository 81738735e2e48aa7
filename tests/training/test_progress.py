"""A run that is stopped any number of times, within one epoch too, ends as one that was not."""

import keras
import numpy as np
import pytest

from tests.training.models import TwoPlayers

X = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")


class StopAt(keras.callbacks.Callback):
    def __init__(self, step):
        super().__init__()
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        if self.model.progress.step.numpy() == self.step:
            raise KeyboardInterrupt


def run(folder=None, stop=None):
    """Five batches an epoch; a fresh model and fresh callbacks, as in a new process."""
    keras.utils.set_random_seed(1)
    model = TwoPlayers(seed=3)
    model.compile(jit_compile=False)
    callbacks = []
    if folder is not None:
        callbacks.append(keras.callbacks.BackupAndRestore(str(folder), save_freq=1))
    if stop is not None:
        callbacks.append(StopAt(stop))
    model.fit(X, batch_size=4, epochs=4, verbose=0, callbacks=callbacks)
    return [weight.numpy() for weight in model.weights]


@pytest.mark.parametrize("stops", [(7,), (7, 8), (6, 7, 9), (8, 12, 13)])
def test_however_often_it_is_stopped(tmp_path, stops):
    expected = run()
    for stop in stops:
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "backup", stop)
    for one, other in zip(expected, run(tmp_path / "backup"), strict=True):
        np.testing.assert_array_equal(one, other)
