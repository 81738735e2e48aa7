"""What a step computes and what its replicas must exchange: the input of docs/larger_clusters.md.

Bytes are those of the gradients that reach `apply_gradients`, which is where replicas sum them;
seconds are the median of steps taken one by one, after the first.
"""

import argparse
import time

import keras
import numpy as np
from report import SHARED, median, publish

import keras_transgen as ktg
from keras_transgen.generative.networks import dense_decoder, dense_encoder

MODULE = "hub/mobilenet_v2_100_224_feature_vector"


def models(batches: dict[str, int]) -> dict:
    """A compiled model and a batch of its data, made when asked for."""
    random = np.random.default_rng(0)

    def images(name: str, *shape: int) -> np.ndarray:
        return random.uniform(0, 1, (batches[name], *shape)).astype("float32")

    def labels(name: str, count: int) -> np.ndarray:
        return np.arange(batches[name]) % count

    def transfer(name: str, kind: type, **settings) -> tuple:
        model = kind(str(SHARED / MODULE), 2, head_initialization="random", **settings)
        model.compile("adam")
        return model, (images(name, 224, 224, 3), labels(name, 2))

    def vae(name: str) -> tuple:
        encoder = dense_encoder((28, 28, 1), (512, 512))
        decoder = dense_decoder(40, (28, 28, 1), (512, 512))
        model = ktg.VAE((28, 28, 1), 40, "bernoulli", encoder, decoder)
        return model, (images(name, 28, 28, 1),)

    return {
        "VAE, dense 512-512": vae,
        "GAN 64x64x3": lambda name: (ktg.GAN((64, 64, 3)), (2 * images(name, 64, 64, 3) - 1,)),
        "ConditionalGAN 28x28x1": lambda name: (
            ktg.ConditionalGAN(10, (28, 28, 1)),
            (2 * images(name, 28, 28, 1) - 1, labels(name, 10)),
        ),
        "ParameterTransfer, MobileNetV2": lambda name: transfer(name, ktg.ParameterTransfer),
        "StructureTransfer, LoRA 4, MobileNetV2": lambda name: transfer(
            name, ktg.StructureTransfer, method="lora", rank=4
        ),
    }


class Clock(keras.callbacks.Callback):
    """Seconds of each step but the first."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_train_batch_begin(self, batch, logs=None):
        self._start = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        if batch:
            self.seconds.append(time.perf_counter() - self._start)


def measured(model, data: tuple, batch: int, steps: int) -> tuple[int, float]:
    """Bytes of gradients a step, and its median seconds."""
    reduced: list[int] = []
    apply = model.apply_gradients

    def counted(optimizer, gradients, variables) -> None:
        reduced.extend(
            4 * int(np.prod(variable.shape))
            for gradient, variable in zip(gradients, variables, strict=True)
            if gradient is not None
        )
        apply(optimizer, gradients, variables)

    model.apply_gradients = counted
    if not model.compiled:
        model.compile(steps_per_execution=1)
    clock = Clock()
    several = [np.concatenate([part] * (steps + 1)) for part in data]
    model.fit(*several, batch_size=batch, verbose=0, callbacks=[clock])
    return sum(reduced), median(clock.seconds)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--steps", type=int, default=8, help="steps to time")
    options = arguments.parse_args()
    batches = {
        "VAE, dense 512-512": 128,
        "GAN 64x64x3": 64,
        "ConditionalGAN 28x28x1": 64,
        "ParameterTransfer, MobileNetV2": 32,
        "StructureTransfer, LoRA 4, MobileNetV2": 32,
    }
    rows = [("model", "batch", "MB all-reduced a step", "seconds a step (median)")]
    for name, make in models(batches).items():
        if "MobileNet" in name and not (SHARED / MODULE).exists():
            continue
        size, seconds = measured(*make(name), batches[name], options.steps)
        rows.append((name, str(batches[name]), f"{size / 1e6:.2f}", f"{seconds:.4f}"))
        print(rows[-1], flush=True)
    publish(
        "Bytes and seconds a step, for larger clusters",
        "none: the input of docs/larger_clusters.md",
        rows,
        "Feature transfer exchanges nothing while it extracts.",
        __file__,
    )


if __name__ == "__main__":
    main()
