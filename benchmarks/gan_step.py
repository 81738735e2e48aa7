"""Images per second of a GAN's step, 64x64x3, batch 64, default networks, against both peers."""

import argparse
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from adversarial_peers import TorchPeer, keras_example
from report import median, publish

import keras_transgen as ktg

SIZE, CHANNELS, BATCH = 64, 3, 64


def dataset(images: np.ndarray) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(images).batch(BATCH, drop_remainder=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5, help="turns of each side")
    arguments.add_argument("--steps", type=int, default=12, help="steps a turn")
    options = arguments.parse_args()
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (options.steps * BATCH, SIZE, SIZE, CHANNELS)).astype("float32")
    data = dataset(images)

    def seconds(model: keras.Model) -> float:
        start = time.perf_counter()
        model.fit(data, verbose=0)
        return time.perf_counter() - start

    models = {
        f"keras_transgen, step={step!r}": ktg.GAN((SIZE, SIZE, CHANNELS), step=step)
        for step in ("shared", "two_stage")
    }
    models["two-stage step of the Keras examples"] = keras_example(
        models["keras_transgen, step='shared'"]
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "images.npz")
        np.savez(path, images=images, labels=np.zeros(len(images)))
        torch = TorchPeer(
            {
                "size": SIZE, "channels": CHANNELS, "latent_dim": 128, "filters": 64,
                "batch": BATCH, "data": str(path), "seed": 0, "rate": 2e-4,
                "threads": len(tf.config.list_physical_devices("CPU")) * _cores(),
            }
        )  # fmt: skip
        sides = {name: (lambda model=model: seconds(model)) for name, model in models.items()}
        sides["PyTorch 2.13"] = lambda: torch.ask(steps=options.steps)
        for side in sides.values():
            side()  # Traces, compiles, warms up.
        taken = {name: [] for name in sides}
        order = list(sides)
        for _ in range(options.rounds):
            for name in order:
                taken[name].append(sides[name]() / options.steps)
            # Nobody always comes after the same other side, whose traces in the caches it meets.
            order = [*order[1:], order[0]]
        for name, values in taken.items():
            print(name, [round(value, 3) for value in values])
        torch.close()
    medians = {name: median(values) for name, values in taken.items()}
    ours = medians["keras_transgen, step='shared'"]
    rows = [
        ("side", "seconds a step (median)", "images per second", "the shared step is faster by")
    ]
    rows += [
        (name, f"{value:.3f}", f"{BATCH / value:.0f}", f"{value / ours:.2f}")
        for name, value in medians.items()
    ]
    ratios = [medians[name] / ours for name in list(medians)[-2:]]
    reached = "reached" if min(ratios) >= 1.1 else "missed"
    publish(
        "GAN step: images per second",
        "64x64x3, batch 64, default networks: the shared step at least 1.1 times the two-stage "
        "step of the Keras examples and the same networks in PyTorch",
        rows,
        f"Ratios {ratios[0]:.2f} and {ratios[1]:.2f}: {reached}. Ours also keeps a moving average "
        "of the generator and logs gradient norms; PyTorch's step, as its tutorial writes it, "
        "shares one pass of the generator. Speed per step is not speed to quality: see below.",
        __file__,
    )


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    main()
