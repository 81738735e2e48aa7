"""A run that is stopped any number of times, within one epoch too, ends as one that was not."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training.models import TwoPlayers

X = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")


class StopAt(keras.callbacks.Callback):
    def __init__(self, step):
        super().__init__()
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        if self.model.progress.step.numpy() == self.step:
            raise KeyboardInterrupt


def run(folder=None, stop=None, shuffled=False):
    """Five batches an epoch; a fresh model, data and callbacks, as in a new process."""
    keras.utils.set_random_seed(1)
    model = TwoPlayers(seed=3)
    model.compile(jit_compile=False)
    callbacks = []
    if folder is not None:
        callbacks.append(keras.callbacks.BackupAndRestore(str(folder), save_freq=1))
    if stop is not None:
        callbacks.append(StopAt(stop))
    data = {"x": X, "batch_size": 4}
    if shuffled:
        # A shuffle draws its order for each pass; a batch that was prefetched was not taken.
        batches = tf.data.Dataset.from_tensor_slices(X).shuffle(20, seed=5).batch(4).prefetch(2)
        # Of what a filter leaves, the length is not known.
        data = {"x": batches.filter(lambda x: True) if shuffled == "unknown length" else batches}
    model.fit(**data, epochs=4, verbose=0, callbacks=callbacks)
    return [weight.numpy() for weight in model.weights]


@pytest.mark.slow
@pytest.mark.parametrize("shuffled", [False, "known length", "unknown length"])
@pytest.mark.parametrize("stops", [(7,), (7, 8), (6, 7, 9), (8, 12, 13)])
def test_however_often_it_is_stopped(tmp_path, stops, shuffled):
    expected = run(shuffled=shuffled)
    for stop in stops:
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "backup", stop, shuffled)
    for one, other in zip(expected, run(tmp_path / "backup", shuffled=shuffled), strict=True):
        np.testing.assert_array_equal(one, other)
