"""What Ray runs on each worker of the test."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

import keras_transgen as ktg

EPOCHS = 4
BATCH = 16


def digits() -> tuple[np.ndarray, np.ndarray]:
    images, labels = ktg.datasets.load_digits()
    return images[:48], labels[:48]


def transfer_model() -> keras.Model:
    keras.utils.set_random_seed(1)
    model = ktg.ParameterTransfer(
        ktg.load_backbone("digits"), 10, head_initialization="random", seed=1
    )
    model.compile(optimizer=keras.optimizers.SGD(0.01), jit_compile=False)
    return model


def tiny_vae() -> keras.Model:
    keras.utils.set_random_seed(2)
    networks = ktg.generative.networks
    vae = ktg.VAE(
        (8, 8, 1),
        2,
        encoder=networks.dense_encoder((8, 8, 1), (8,)),
        decoder=networks.dense_decoder(2, (8, 8, 1), (8,)),
        seed=2,
    )
    vae.compile(jit_compile=False)
    return vae


class Watch(keras.callbacks.Callback):
    """Writes down the epochs, and kills this process within the third one, the first time."""

    def __init__(self, folder: Path, worker: int) -> None:
        super().__init__()
        self.folder = folder
        self.worker = worker
        self.epoch = -1

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        with open(self.folder / f"epochs_{self.worker}.txt", "a") as file:
            file.write(f"{epoch} ")

    def on_train_batch_end(self, batch, logs=None):
        killed = self.folder / "killed"
        if self.worker == 1 and self.epoch == 2 and batch == 1 and not killed.exists():
            killed.touch()
            time.sleep(3)  # Ray takes note of a checkpoint a moment after it was reported.
            os.kill(os.getpid(), signal.SIGKILL)


def train_two_models(config: dict[str, Any]) -> None:
    folder = Path(config["folder"])
    strategy = ktg.distributed.worker_strategy(timeout=120)
    worker = strategy.cluster_resolver.task_id
    images, labels = digits()
    with strategy.scope():
        model = transfer_model()
    callbacks = [ktg.distributed.RayCheckpoint(), Watch(folder, worker)]
    fit = {"batch_size": BATCH, "verbose": 0}
    model.fit(images, labels, epochs=EPOCHS, callbacks=callbacks, **fit)
    with strategy.scope():
        vae = tiny_vae()
    vae.fit(images, epochs=2, **fit)
    for name, trained in (("transfer", model), ("vae", vae)):
        weights = [weight.numpy() for weight in trained.weights]
        np.savez(folder / f"{name}_{worker}.npz", *weights)
