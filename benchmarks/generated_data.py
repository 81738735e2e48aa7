"""Samples of a GAN for few labels: gain in accuracy on digits, with its interval.

Scikit-learn's digits by the embedded backbone's features, with samples of a conditional GAN that
knows MNIST's training images (trained once, kept in runs/generated_data/). Neither it nor the
backbone has seen the test images: both learnt from MNIST's training set alone. With and without a
pretrained backbone: the other features are the pixels. The mixing weight is found by
cross-validation on the few; both sides are the same linear classifier. Samples are taken as they
come, or only those that the classifier of the few confirms.

The GAN is that of conditional_gan_quality.py where this has run, or one trained here for a while.

    python benchmarks/generated_data.py --seeds 10
    python benchmarks/generated_data.py --gan runs/generated_data/mnist_gan_120_s.keras --folds 5
"""

import itertools
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from domain_adaptation import as_digits
from few_label_gain import compared, gain_arguments, report_gains
from report import shared
from time_budget import TimeBudget

import keras_transgen as ktg
from keras_transgen.fusion.generated_data import GeneratedData

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "runs" / "generated_data"
WELL_TRAINED = ROOT / "runs" / "conditional_gan_mnist" / "model.keras"
FILTERS = {"confirmed samples": 0.5, "all samples": None}


def mnist_gan(given: Path | None, seconds: float) -> ktg.ConditionalGAN:
    """A conditional GAN of MNIST's training images: trained once, kept for all runs."""
    path = FOLDER / f"mnist_gan_{seconds:g}_s.keras"
    for known in (given or WELL_TRAINED, path):
        if given or known.exists():
            return ktg.load_model(known)
    (images, labels), _ = ktg.datasets.load_idx_folder(shared("data", "mnist"), (-1.0, 1.0))
    keras.utils.set_random_seed(0)
    gan = ktg.ConditionalGAN(10, (28, 28, 1), seed=0)
    data = tf.data.Dataset.from_tensor_slices((images, labels))
    data = data.shuffle(20_000, seed=0).batch(64, drop_remainder=True).prefetch(2)
    gan.fit(data, epochs=1000, verbose=0, callbacks=[TimeBudget(seconds)])
    FOLDER.mkdir(parents=True, exist_ok=True)
    gan.save(path)
    return gan


def features_of(backbone, images: np.ndarray) -> np.ndarray:
    parts = [np.asarray(backbone(images[i : i + 64])) for i in range(0, len(images), 64)]
    return np.concatenate(parts).reshape(len(images), -1)


def flat_pixels(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1)


def main() -> None:
    arguments = gain_arguments(__doc__)
    arguments.add_argument("--gan", type=Path, help="file of a conditional GAN of MNIST to use")
    arguments.add_argument("--gan-seconds", type=float, default=120, help="of training one, once")
    options = arguments.parse_args()
    gan = mnist_gan(options.gan, options.gan_seconds)
    backbone = ktg.load_backbone("digits")
    images, labels = ktg.datasets.load_digits()
    extractors = {
        "the backbone's features": lambda x: features_of(backbone, x),
        "pixels": flat_pixels,
    }
    runs: dict[tuple[str, int], list[dict]] = {}
    for (name, extract), (kept, agreement) in itertools.product(
        extractors.items(), FILTERS.items()
    ):
        features = extract(images)
        data = GeneratedData(
            gan,
            prepare=lambda samples, extract=extract: extract(as_digits((samples + 1.0) / 2.0)),
            per_class=options.per_class,
            agreement=agreement,
        )
        for shots, seed in itertools.product(options.shots, range(options.seeds)):
            few = ktg.datasets.sample_per_class(labels, shots, seed)
            rest = np.setdiff1d(np.arange(len(labels)), few)
            known, test = ((features[rows], labels[rows]) for rows in (few, rest))
            run = compared(data, known, test, 10, options)
            runs.setdefault((f"{name}, {kept}", shots), []).append(run)
            print(name, kept, shots, seed, run, flush=True)
    steps = int(gan.progress.step.numpy())
    report_gains(
        "Generated data for few labels, digits",
        runs,
        f"The GAN took {steps:,} steps on MNIST.",
        options,
        __file__,
    )


if __name__ == "__main__":
    main()
