"""Runs that end within an epoch go on where they were, here for models with parts of their own.

Killed processes are in tests/generative/test_resume.py, CycleGAN's pools in its own tests.
"""

import keras
import numpy as np
import pytest

from tests.fusion import test_pretrained_vae
from tests.generative.translation import test_pix2pix, test_style_transfer

CASES = {
    "dropout masks": test_pix2pix.CASE,
    "styles by chance": test_style_transfer.CASE,
    "a delta's base": test_pretrained_vae.CASE,
}


class Interruption(keras.callbacks.Callback):
    """Ends a run in its second epoch, without a word to the callbacks."""

    def on_train_batch_end(self, batch, logs=None):
        if self.model.progress.step.numpy() == 3:
            raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_an_interrupted_run_ends_as_one_that_was_not(name, tmp_path):
    case = CASES[name]

    def run(*callbacks):
        keras.utils.set_random_seed(1)
        model = case.make()
        case.compile(model, jit_compile=False, steps_per_execution=1)
        data = [part[:16] for part in case.data]
        model.fit(*data, batch_size=8, epochs=2, verbose=0, callbacks=list(callbacks))
        return model

    expected = run()
    with pytest.raises(KeyboardInterrupt):
        run(keras.callbacks.BackupAndRestore(tmp_path, save_freq=1), Interruption())
    resumed = run(keras.callbacks.BackupAndRestore(tmp_path, save_freq=1))
    assert int(resumed.progress.step.numpy()) == 4
    for one, other in zip(expected.weights, resumed.weights, strict=True):
        np.testing.assert_allclose(
            one.numpy(), other.numpy(), rtol=1e-4, atol=1e-6, err_msg=one.path
        )
