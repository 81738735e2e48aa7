"""Images per second of a dense VAE (512-512, 40 latents, batch 128) against pythae's.

pythae and PyTorch are installed into an environment of their own, .bench/pythae, on the first run.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
from report import median, publish, shared

import keras_transgen as ktg
from keras_transgen.generative.networks import dense_decoder, dense_encoder

ENVIRONMENT = Path(__file__).parents[1] / ".bench" / "pythae"
PYTHAE = ("torch==2.13.0", "pythae==0.1.2")
IMAGES, BATCH, LATENT = 20_000, 128, 40
SHAPE = (28, 28, 1)


def pythae_python() -> Path:
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
    ready = subprocess.run([python, "-c", "import torch, pythae"], capture_output=True, check=False)
    if ready.returncode:
        # One after the other: pythae asks for any torch, and would take one with CUDA.
        for package in PYTHAE:
            subprocess.run([python, "-m", "pip", "install", "-q", package], check=True)
    return python


class Stopwatch(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.start)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=7, help="turns of each side")
    arguments.add_argument("--epochs", type=int, default=3, help="epochs a turn")
    options = arguments.parse_args()
    (images, _), _ = ktg.datasets.load_idx_folder(shared("data", "mnist"), (0.0, 1.0))
    images = images[:IMAGES]
    images = (np.random.RandomState(0).rand(*images.shape) < images).astype("float32")
    encoder, decoder = dense_encoder(SHAPE), dense_decoder(LATENT, SHAPE)
    vae = ktg.generative.VAE(SHAPE, LATENT, encoder=encoder, decoder=decoder)

    def ours(epochs: int) -> list[float]:
        watch = Stopwatch()
        vae.fit(images, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=[watch])
        return watch.seconds

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "images.npy")
        np.save(path, images)
        worker = Path(__file__).with_name("pythae_worker.py")
        with subprocess.Popen(
            [pythae_python(), str(worker), str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:

            def pythaes(epochs: int) -> list[float]:
                process.stdin.write(f"{epochs}\n")
                process.stdin.flush()
                return json.loads(process.stdout.readline())

            sides = {"keras_transgen": ours, "pythae": pythaes}
            seconds: dict[str, list[float]] = {name: [] for name in sides}
            for side in sides.values():
                side(1)
            for _ in range(options.rounds):
                for name, side in sides.items():
                    seconds[name] += side(options.epochs)
                    print(name, [f"{s:.2f}" for s in seconds[name][-options.epochs :]], flush=True)
            process.stdin.close()
    medians = {name: median(values) for name, values in seconds.items()}
    ratio = medians["pythae"] / medians["keras_transgen"]
    rows = [("side", "seconds an epoch (median)", "images per second", "epochs")]
    rows += [
        (name, f"{medians[name]:.2f}", f"{IMAGES / medians[name]:,.0f}", str(len(values)))
        for name, values in seconds.items()
    ]
    publish(
        "VAE step: images per second",
        "dense 512-512, 40 latents, batch 128, MNIST: at least 1.25 times pythae's images per "
        "second",
        rows,
        f"Ratio {ratio:.2f}: {'reached' if ratio >= 1.25 else 'missed'}. pythae 0.1.2 on PyTorch "
        f"2.13, an equal network, its own trainer; {IMAGES:,} binarised images.",
        __file__,
    )


if __name__ == "__main__":
    main()
