"""GAN on photographs of flowers at 64x64: distances on a pretrained network's features.

The kernel distance after the first epoch and at the end, precision and recall, on the features of
the MobileNetV2 module; the time of judging does not count as training. The grid, the model and all
numbers go to runs/gan_flowers.
"""

import argparse
import json
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from report import publish, shared
from time_budget import TimeBudget

import keras_transgen as ktg
from keras_transgen.callbacks import SampleGrid
from keras_transgen.evaluation import SampleQuality
from keras_transgen.plotting import plot_sample_grid, save_figure

MODULE = "mobilenet_v2_100_224_feature_vector"
ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / ".bench" / "gan_flowers_reference.npz"


def flowers(size: int) -> np.ndarray:
    """All photographs as bytes, in an order of chance."""
    data = ktg.datasets.image_folder(
        shared("data", "flowers5_96"), size, 256, labelled=False, shuffle=False, check="none"
    )
    images = np.concatenate([np.asarray(batch) for batch in data])
    pixels = np.round(255 * np.clip(images, 0.0, 1.0)).astype("uint8")
    return pixels[np.random.default_rng(0).permutation(len(pixels))]


def judge_of(real: np.ndarray) -> SampleQuality:
    """Metrics on the module's features; what is known of the real images is kept between runs."""
    backbone = ktg.load_backbone(str(shared("hub", MODULE)))
    quality = SampleQuality(backbone, value_range=(-1.0, 1.0))
    try:
        quality.load_reference(REFERENCE)
    except (FileNotFoundError, ValueError):
        quality.update_real(real)
        quality.save_reference(REFERENCE)
    if quality.real_count != len(real):
        quality.reset_real()
        quality.update_real(real)
        quality.save_reference(REFERENCE)
    return quality


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=15.0, help="of training")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--size", type=int, default=64)
    arguments.add_argument("--batch", type=int, default=64)
    arguments.add_argument("--filters", type=int, default=64)
    arguments.add_argument("--loss", default="non_saturating")
    arguments.add_argument("--penalty", default=None, help="gradient penalty, such as r1")
    arguments.add_argument("--penalty-weight", type=float, default=1.0)
    arguments.add_argument("--augmentation", default="color,translation,cutout", help="or none")
    arguments.add_argument("--judged", type=int, default=2000, help="images of each kind")
    arguments.add_argument("--output", type=Path, default=ROOT / "runs" / "gan_flowers")
    arguments.add_argument("--no-publish", action="store_true", help="only print and write files")
    options = arguments.parse_args()
    keras.utils.set_random_seed(options.seed)
    images = flowers(options.size)
    judge = judge_of(images[: options.judged])
    gan = ktg.GAN(
        (options.size, options.size, 3),
        filters=options.filters,
        loss=options.loss,
        gradient_penalty=options.penalty,
        gradient_penalty_weight=options.penalty_weight,
        augmentation=None if options.augmentation == "none" else options.augmentation,
        seed=options.seed,
    )
    results = {}

    def look(epoch: int) -> None:
        judge.reset_generated()
        judge.update_generated(gan.sample(options.judged, seed=0))
        results[epoch] = judge.result()
        print(f"after epoch {epoch}: {results[epoch]}", flush=True)

    # A flower seen in a mirror is a flower.
    data = (
        tf.data.Dataset.from_tensor_slices(images)
        .shuffle(len(images), seed=options.seed)
        .batch(options.batch, drop_remainder=True)
        .map(tf.image.random_flip_left_right, num_parallel_calls=1)
        .prefetch(2)
    )
    budget = TimeBudget(60.0 * options.minutes, look, epochs=(1,))
    grid = SampleGrid(options.output / "samples", every=10)
    gan.fit(data, epochs=100_000, verbose=0, callbacks=[grid, budget])
    look(budget.epoch)
    options.output.mkdir(parents=True, exist_ok=True)
    gan.save(options.output / "model.keras")
    figure = plot_sample_grid(
        gan.sample(64, seed=0), real=images[:64] / 127.5 - 1.0, value_range=(-1.0, 1.0)
    )
    save_figure(figure, options.output / "samples.png")
    first, last = results[1], results[budget.epoch]
    ratio = last.kernel_distance / first.kernel_distance
    everything = {epoch: result.metrics() for epoch, result in results.items()}
    (options.output / "metrics.json").write_text(json.dumps(everything, indent=2) + "\n")
    names = (
        "kernel_distance",
        "kernel_distance_deviation",
        "frechet_distance",
        "precision",
        "recall",
        "density",
        "coverage",
    )
    rows = [
        (f"on the features of {MODULE}", "after epoch 1", "at the end"),
        *(
            (name.replace("_", " "), f"{getattr(first, name):.4g}", f"{getattr(last, name):.4g}")
            for name in names
        ),
        (
            "real / generated images",
            f"{first.real_count:,} / {first.generated_count:,}",
            f"{last.real_count:,} / {last.generated_count:,}",
        ),
    ]
    verdict = (
        f"The kernel distance at the end is {ratio:.2f} of that after epoch 1: "
        f"{'reached' if ratio <= 0.5 else 'missed'}. {budget.steps:,} steps in "
        f"{budget.spent / 60:.1f} minutes ({budget.epoch} epochs), batch {options.batch}, "
        f"{options.filters} filters, loss {options.loss!r}, gradient_penalty={options.penalty!r}, "
        f"augmentation {options.augmentation!r}, mirrored images, seed {options.seed}; "
        f"precision and recall with k={last.neighbours}."
    )
    if options.no_publish:
        print(*rows, verdict, sep="\n")
        return
    publish(
        "GAN on flowers at 64x64",
        "15 minutes on 2 cores: the kernel distance at least halved from epoch 1 to the end",
        rows,
        verdict,
        __file__,
    )


if __name__ == "__main__":
    main()
