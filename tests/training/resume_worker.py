"""A training run in a process of its own; the test kills it. Arguments: folder, save frequency."""

import os
import signal
import sys

import keras
import numpy as np

from tests.training.test_trainer import classifier, compile_classifier

ROWS = 40


def model_under_test():
    keras.utils.set_random_seed(11)
    model = classifier(keras.layers.BatchNormalization(), keras.layers.Dropout(0.5))
    compile_classifier(model, keras.optimizers.Adam(0.01), jit_compile=False)
    return model


def data():
    rng = np.random.default_rng(5)
    return rng.normal(size=(ROWS, 6)).astype("float32"), rng.integers(0, 3, ROWS)


def run(folder: str | None, save_freq: str, kill_at: int | None) -> list[np.ndarray]:
    model = model_under_test()
    callbacks = []
    if folder:
        frequency = save_freq if save_freq == "epoch" else int(save_freq)
        callbacks.append(keras.callbacks.BackupAndRestore(folder, save_freq=frequency))

    class Kill(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.progress.step.numpy()) == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    callbacks.append(Kill())
    model.fit(*data(), batch_size=8, epochs=4, callbacks=callbacks, verbose=0)
    return [weight.numpy() for weight in model.weights]


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], int(sys.argv[3]))
