"""What each Slurm task of the test runs. Arguments: a folder, the epoch to be killed in or `none`.

The environment is the one that `srun` sets; the nodes are this machine.
"""

import json
import os
import signal
import sys
from pathlib import Path

import keras
import numpy as np

import keras_transgen as ktg
from keras_transgen.distributed import SharedBackup, worker_strategy
from keras_transgen.training.worker_agreement import refuse_unequal_workers

EPOCHS = 4
BATCH = 12


def examples() -> np.ndarray:
    return np.random.default_rng(3).random((36, 5)).astype("float32")


def tiny_vae() -> ktg.VAE:
    keras.utils.set_random_seed(1)
    networks = ktg.generative.networks
    vae = ktg.VAE(
        (5,),
        3,
        encoder=networks.dense_encoder((5,), (8,)),
        decoder=networks.dense_decoder(3, (5,), (8,)),
    )
    vae.compile(jit_compile=False)
    return vae


class Watch(keras.callbacks.Callback):
    """Counts the epochs, and kills the process within one."""

    def __init__(self, kill_in: int | None) -> None:
        super().__init__()
        self.kill_in = kill_in
        self.epoch = -1
        self.epochs: list[int] = []

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        self.epochs.append(epoch)

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == self.kill_in and batch == 1:
            os.kill(os.getpid(), signal.SIGKILL)


def refusal(action) -> str:
    try:
        action()
    except ValueError as error:
        return str(error)
    return "nothing was refused"


def main(folder: Path, kill_in: int | None) -> None:
    strategy = worker_strategy(timeout=120, port_base=int(os.environ["TEST_PORT_BASE"]))
    task = strategy.cluster_resolver.task_id
    with strategy.scope():
        vae = tiny_vae()
    watch = Watch(kill_in)
    backup = SharedBackup(str(folder / "backup"))
    fit = {"batch_size": BATCH, "verbose": 0}
    vae.fit(examples(), epochs=EPOCHS, callbacks=[backup, watch], **fit)
    np.savez(folder / f"resumed_{task}.npz", *[weight.numpy() for weight in vae.weights])
    with strategy.scope():
        vae = tiny_vae()
    vae.fit(examples(), epochs=EPOCHS, **fit)
    np.savez(folder / f"whole_{task}.npz", *[weight.numpy() for weight in vae.weights])

    unequal = np.zeros((24 + 12 * task, 5), "float32")
    told = {"epochs": watch.epochs}
    told["rows"] = refusal(lambda: vae.fit(unequal, **fit))
    told["versions"] = refusal(
        lambda: refuse_unequal_workers(strategy, {"tensorflow": f"2.21.{task}"}, "start")
    )
    # The refusals leave the workers in step with each other.
    told["loss"] = vae.fit(examples(), **fit).history["loss"]
    told["small"] = refusal(lambda: vae.fit(examples(), batch_size=1, verbose=0))
    (folder / f"told_{task}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), None if sys.argv[2] == "none" else int(sys.argv[2]))
