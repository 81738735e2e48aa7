"""Transfer of a trained GAN to 100 and 500 images, against training from scratch in the same time.

A GAN learns MNIST's digits 0 to 4 (once, kept in runs/gan_transfer/); it is transferred to a few
images of the digits 5 to 9, or of Fashion-MNIST. All sides have the same networks, augmentation and
seconds of training. The kernel distance is taken between samples and held-out test images, on the
features of the embedded "digits" backbone.

    python benchmarks/gan_transfer.py --seconds 12 --source-seconds 120 --seeds 2
    python benchmarks/gan_transfer.py --seconds 90 --target fashion
"""

import argparse
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from report import publish, shared
from time_budget import TimeBudget

import keras_transgen as ktg
from keras_transgen.evaluation import kernel_distance
from keras_transgen.fusion.generator_transfer import transfer_gan

FOLDER = Path(__file__).parents[1] / "runs" / "gan_transfer"
METHODS = ("all", "freeze_d", "statistics", "lora")
SETTINGS = {"image_shape": (28, 28, 1), "latent_dim": 64, "filters": 16}
BATCH = 32


def images_of(name: str, part: int, classes: range) -> np.ndarray:
    images, labels = ktg.datasets.load_idx_folder(shared("data", name), (-1.0, 1.0))[part]
    return images[np.isin(labels, list(classes))]


def trained(gan: ktg.GAN, images: np.ndarray, seconds: float, seed: int) -> int:
    """Train for a time that starts after the first step, and return the steps."""
    data = tf.data.Dataset.from_tensor_slices(images).shuffle(len(images), seed=seed).repeat()
    data = data.batch(BATCH, drop_remainder=True).prefetch(2)
    gan.fit(data, steps_per_epoch=1, verbose=0)
    gan.fit(data, steps_per_epoch=100_000, verbose=0, callbacks=[TimeBudget(seconds)])
    return int(gan.progress.step.numpy())


def source_gan(seconds: float) -> ktg.GAN:
    path = FOLDER / f"digits_0_to_4_{seconds:g}_s.keras"
    if path.exists():
        return ktg.load_model(path)
    keras.utils.set_random_seed(0)
    gan = ktg.GAN(**SETTINGS, seed=0)
    trained(gan, images_of("mnist", 0, range(5)), seconds, 0)
    FOLDER.mkdir(parents=True, exist_ok=True)
    gan.save(path)
    return gan


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--target", choices=["digits", "fashion"], default="digits")
    arguments.add_argument("--sizes", nargs="+", type=int, default=[100, 500])
    arguments.add_argument("--seconds", type=float, default=12, help="of training, each side")
    arguments.add_argument("--source-seconds", type=float, default=120)
    arguments.add_argument("--seeds", type=int, default=2)
    arguments.add_argument("--samples", type=int, default=2000)
    arguments.add_argument("--augmentation", default="translation", help="of all sides, or ''")
    arguments.add_argument("--dry", action="store_true", help="print, do not publish")
    options = arguments.parse_args()
    name, classes = ("mnist", range(5, 10)) if options.target == "digits" else (
        "fashion_mnist",
        range(10),
    )  # fmt: skip
    source = source_gan(options.source_seconds)
    backbone = ktg.load_backbone("digits")
    augmentation = options.augmentation or None

    def features(images: np.ndarray) -> np.ndarray:
        scaled = (images + 1.0) / 2.0
        parts = [np.asarray(backbone(scaled[i : i + 64])) for i in range(0, len(scaled), 64)]
        return np.concatenate(parts).reshape(len(scaled), -1)

    real = features(images_of(name, 1, classes)[: options.samples])
    pool = images_of(name, 0, classes)
    start = kernel_distance(features(source.sample(options.samples, seed=0)), real)
    distances: dict[tuple[str, int], list[float]] = {}
    for seed in range(options.seeds):
        order = np.random.default_rng(seed).permutation(len(pool))
        for size in options.sizes:
            for side in ("from scratch", *METHODS):
                keras.utils.set_random_seed(seed)
                gan = (
                    ktg.GAN(**SETTINGS, augmentation=augmentation, seed=seed)
                    if side == "from scratch"
                    else transfer_gan(source, side, augmentation=augmentation, seed=seed)
                )
                began = time.perf_counter()
                steps = trained(gan, pool[order[:size]], options.seconds, seed)
                samples = features(gan.sample(options.samples, seed=1))
                distance = kernel_distance(samples, real)
                distances.setdefault((side, size), []).append(distance)
                spent = time.perf_counter() - began
                print(side, size, seed, steps, f"{distance:.4f} {spent:.0f} s", flush=True)
    rows = [("side", *(f"kernel distance, {size} images" for size in options.sizes), "of scratch")]
    ratios = {}
    for side in ("from scratch", *METHODS):
        means = [float(np.mean(distances[side, size])) for size in options.sizes]
        ratios[side] = [
            mean / float(np.mean(distances["from scratch", size]))
            for mean, size in zip(means, options.sizes)
        ]
        ratio = ", ".join(f"{each:.2f}" for each in ratios[side])
        rows.append((side, *(f"{mean:.4f}" for mean in means), ratio))
    best = [min(METHODS, key=lambda side, i=i: ratios[side][i]) for i in range(len(options.sizes))]
    shown = "; ".join(
        f"at {size} images {side!r} with {ratios[side][i]:.2f} of scratch's distance"
        for i, (size, side) in enumerate(zip(options.sizes, best))
    )
    verdict = (
        f"Best: {shown}. Lower is better; the source's own samples are at {start:.4f}. Mean of "
        f"{options.seeds} seeds, {options.seconds:g} s of training each, {options.samples} samples "
        f"against as many test images."
    )
    if options.dry:
        for row in rows:
            print(" | ".join(row))
        print(verdict)
        return
    publish(
        f"Transfer of a GAN of the digits 0 to 4 to few images ({options.target})",
        "gain over training from scratch at 100 and 500 images, told as it is",
        rows,
        verdict,
        __file__,
    )


if __name__ == "__main__":
    main()
