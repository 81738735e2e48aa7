"""A diverged run stops at once, names the step, and keeps the last good checkpoint."""

import keras
import numpy as np
import pytest

from keras_transgen.training import NonFiniteLossError
from tests.training.test_trainer import IMAGES, LABELS, classifier, compile_classifier


class Poison(keras.callbacks.Callback):
    """Makes the weights infinite before the batch with this number."""

    def __init__(self, batch: int) -> None:
        super().__init__()
        self.batch = batch

    def on_train_batch_begin(self, batch, logs=None):
        if batch == self.batch:
            weight = self.model.trainable_weights[0]
            weight.assign(np.full(weight.shape, np.inf))


def test_names_the_step_and_the_last_good_checkpoint(tmp_path):
    model = classifier()
    compile_classifier(model)
    path = str(tmp_path / "at_{epoch}.weights.h5")
    checkpoint = keras.callbacks.ModelCheckpoint(path, save_weights_only=True, save_freq=1)
    with pytest.raises(NonFiniteLossError, match=r"step 2.*at_1\.weights\.h5") as caught:
        model.fit(
            IMAGES, LABELS, batch_size=8, epochs=3, callbacks=[checkpoint, Poison(1)], verbose=0
        )
    assert caught.value.step == 2
    assert not np.isfinite(caught.value.logs["loss"])
    # What was saved is from before the broken step.
    model.load_weights(caught.value.checkpoint)
    assert all(np.isfinite(weight.numpy()).all() for weight in model.weights)


def test_without_a_checkpoint_says_how_to_keep_one():
    model = classifier()
    compile_classifier(model)
    with pytest.raises(NonFiniteLossError, match="BackupAndRestore"):
        model.fit(IMAGES, LABELS, callbacks=[Poison(0)], verbose=0)


def test_a_good_run_is_left_alone():
    model = classifier()
    compile_classifier(model)
    model.fit(IMAGES, LABELS, epochs=2, verbose=0)
    assert int(model.progress.first_bad_step.numpy()) == -1
