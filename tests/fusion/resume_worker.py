"""A run of a model with pretrained or translating parts in a process of its own, which kills it.

Arguments: the name of the model and the folder of its backup.
"""

import os
import signal
import sys

import keras

from tests.fusion import (
    test_feature_vae,
    test_flow_transfer,
    test_generator_transfer,
    test_latent_autoencoder,
    test_latent_flow,
    test_pretrained_vae,
    test_semi_supervised_gan,
)
from tests.generative.translation import test_cyclegan, test_pix2pix, test_style_transfer
from tests.transfer.detection import test_detector

CASES = {
    "pix2pix": test_pix2pix.CASE,
    "cyclegan": test_cyclegan.CASE,
    "style transfer": test_style_transfer.CASE,
    "vae on a backbone": test_pretrained_vae.CASE,
    "feature vae": test_feature_vae.CASE,
    "semi-supervised gan": test_semi_supervised_gan.CASES["vectors"],
    "transferred gan": test_generator_transfer.CASE,
    "transferred flow": test_flow_transfer.CASES["lora"],
    "latent autoencoder": test_latent_autoencoder.CASE,
    "latent flow": test_latent_flow.CASES["aligned"],
    "detector on features": test_detector.CASES["feature"],
    "detector on images": test_detector.CASES["parameter"],
}
KILLED_AT = 3
STEPS = 4


class Kill(keras.callbacks.Callback):
    """SIGKILL within the second epoch, after the backup of that step."""

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.progress.step.numpy()) == KILLED_AT:
            os.kill(os.getpid(), signal.SIGKILL)


def run(name: str, folder: str | None, kill: bool) -> keras.Model:
    """Two epochs of two steps."""
    case = CASES[name]
    # What a case is made of may be kept between calls, so it is made before the seeds.
    case.make()
    keras.utils.set_random_seed(1)
    model = case.make()
    case.compile(model, jit_compile=False, steps_per_execution=1)
    callbacks = [keras.callbacks.BackupAndRestore(folder, save_freq=1)] if folder else []
    if kill:
        callbacks.append(Kill())
    data = keras.tree.map_structure(lambda part: part[:16], list(case.data))
    settings = {**case.fit, "batch_size": 8, "epochs": 2, "verbose": 0}
    model.fit(*data, callbacks=callbacks, **settings)
    return model


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], kill=True)
