"""Every model on a GPU: XLA on and off, float32 and mixed precision, batch sizes up to memory.

Prints images per second and the ratio to the same batch without XLA in float32. On a machine
without a GPU it says so and ends.
"""

import argparse
import sys
import time

import keras
import numpy as np
import tensorflow as tf
from report import publish

import keras_transgen as ktg

STEPS = 20
RNG = np.random.default_rng(0)


def images(count: int, shape: tuple[int, ...], low: float) -> np.ndarray:
    return RNG.uniform(low, 1.0, (count, *shape)).astype("float32")


def labels(count: int) -> np.ndarray:
    return RNG.integers(0, 10, count)


def transfer() -> keras.Model:
    network = keras.applications.MobileNetV2(
        (224, 224, 3), include_top=False, weights=None, pooling="avg"
    )
    return ktg.ParameterTransfer(
        ktg.KerasBackbone(network), num_classes=10, head_initialization="random"
    )


# Name, how to make the model, and its data for a number of examples.
MODELS = {
    "VAE 28x28": (lambda: ktg.VAE((28, 28, 1), 32), lambda n: (images(n, (28, 28, 1), 0.0),)),
    **{
        f"GAN 64x64x3, {step}": (
            lambda step=step: ktg.GAN((64, 64, 3), step=step),
            lambda n: (images(n, (64, 64, 3), -1.0),),
        )
        for step in ("shared", "two_stage")
    },
    "ConditionalGAN 28x28": (
        lambda: ktg.ConditionalGAN(10, (28, 28, 1)),
        lambda n: (images(n, (28, 28, 1), -1.0), labels(n)),
    ),
    "ParameterTransfer MobileNetV2": (
        transfer,
        lambda n: (images(n, (224, 224, 3), 0.0), labels(n)),
    ),
}


def speed(make, data, batch: int, xla: bool, policy: str) -> float:
    """Images per second over `STEPS` steps, after two that compile; 0.0 out of memory."""
    keras.backend.clear_session()
    keras.config.set_dtype_policy(policy)
    try:
        model = make()
        model.compile(jit_compile=xla)
        batches = tf.data.Dataset.from_tensors(data(batch)).repeat()
        model.fit(batches, steps_per_epoch=2, verbose=0)
        start = time.perf_counter()
        model.fit(batches, steps_per_epoch=STEPS, verbose=0)
        return STEPS * batch / (time.perf_counter() - start)
    except tf.errors.ResourceExhaustedError:
        return 0.0
    finally:
        keras.config.set_dtype_policy("float32")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--largest", type=int, default=1024, help="batch size to stop at")
    arguments.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    options = arguments.parse_args()
    devices = tf.config.list_physical_devices("GPU")
    if not devices:
        print("There is no GPU on this machine: nothing was measured.")
        return 0
    for device in devices:
        tf.config.experimental.set_memory_growth(device, True)
    rows = [("model", "batch", "precision", "XLA", "images per second", "ratio")]
    for name in options.models:
        make, data = MODELS[name]
        batch = 64
        while batch <= options.largest:
            plain = None
            for policy in ("float32", "mixed_float16", "mixed_bfloat16"):
                for xla in (False, True):
                    value = speed(make, data, batch, xla, policy)
                    plain = plain or value
                    ratio = f"{value / plain:.2f}" if plain else "-"
                    shown = f"{value:,.0f}" if value else "out of memory"
                    rows.append((name, str(batch), policy, "on" if xla else "off", shown, ratio))
                    print(*rows[-1], flush=True)
            if plain == 0.0:
                break
            batch *= 4
    details = tf.config.experimental.get_device_details(devices[0])
    publish(
        "Every model on a GPU",
        "XLA on and off, float32 and mixed precision, batch sizes up to memory",
        rows,
        f"On {details.get('device_name', 'a GPU')}; the ratio is to float32 without XLA.",
        __file__,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
