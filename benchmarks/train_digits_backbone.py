"""Trains the backbone that ships with the package, and writes down how.

    python benchmarks/train_digits_backbone.py ../shared/data/mnist

The network learns the ten digits of MNIST (LeCun, Cortes, Burges; CC BY-SA 3.0), distorted and
seen at many resolutions, so that its features also fit small scans such as scikit-learn's 8x8
digits, which it never sees. The weights go to keras_transgen/backbones/digits.keras, the record to
digits.json beside them.
"""

import argparse
import datetime
import json
import os
import platform
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import sklearn
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from keras_transgen.backbones.digits_network import WEIGHTS, digits_network
from keras_transgen.datasets.idx import load_idx_folder

HOME = Path(__file__).parents[1] / "keras_transgen" / "backbones"
BATCH = 256
# Small scans come first: the network must not depend on detail that only large images have.
RESOLUTIONS = (8, 8, 8, 10, 12, 14, 16, 20, 28)


def distorted(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Images moved, turned, slanted, thickened and scanned at a random resolution.

    Args:
        images: `[batch, 28, 28, 1]`, values in [0, 1].
        seed: Two whole numbers; equal seeds give equal distortions.
    """
    count = tf.shape(images)[0]
    seeds = tf.unstack(tf.random.split(seed, 9))

    def uniform(index: int, low: float, high: float) -> tf.Tensor:
        return tf.random.stateless_uniform([count], seeds[index], low, high)

    angle, slant = uniform(0, -0.25, 0.25), uniform(1, -0.25, 0.25)
    # MNIST's digits leave a wide margin, other collections crop to the ink.
    zoom, aspect = uniform(2, 0.64, 1.05), uniform(3, 0.85, 1.2)
    across, along = zoom * aspect, zoom / aspect
    a, b = across * tf.cos(angle), across * (slant - tf.sin(angle))
    c, d = along * tf.sin(angle), along * tf.cos(angle)
    shift = tf.random.stateless_uniform([2, count], seeds[4], -2.0, 2.0)
    zeros = tf.zeros([count])
    transforms = tf.stack(
        [
            *(a, b, 13.5 - 13.5 * (a + b) + shift[0]),
            *(c, d, 13.5 - 13.5 * (c + d) + shift[1]),
            *(zeros, zeros),
        ],
        axis=1,
    )
    images = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=[28, 28],
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
        fill_value=0.0,
    )
    thick = tf.nn.max_pool2d(images, 2, 1, "SAME")
    thin = -tf.nn.max_pool2d(-images, 2, 1, "SAME")
    stroke = uniform(5, 0.0, 1.0)[:, None, None, None]
    images = tf.where(stroke < 0.35, thick, tf.where(stroke > 0.9, thin, images))
    images = images ** uniform(6, 0.7, 1.4)[:, None, None, None]
    # Many scanners give black and white, and grey comes from scaling down.
    two_tone = uniform(8, 0.0, 1.0)[:, None, None, None] < 0.4
    images = tf.where(two_tone, tf.cast(images > 0.4, tf.float32), images)
    choice = tf.random.stateless_uniform([], seeds[7], 0, len(RESOLUTIONS), tf.int32)
    size = tf.constant(RESOLUTIONS)[choice]
    return tf.image.resize(images, tf.stack([size, size]), method="area")


def batches(images: np.ndarray, labels: np.ndarray, seed: int) -> tf.data.Dataset:
    data = tf.data.Dataset.from_tensor_slices((images, labels))
    data = data.shuffle(len(images), seed=seed).batch(BATCH, drop_remainder=True)

    def prepare(index: tf.Tensor, batch: tuple) -> tuple:
        return distorted(batch[0], tf.stack([tf.cast(seed, tf.int64), index])), batch[1]

    # Counted before mapping, so that the epoch's number changes the distortions too.
    return data.repeat().enumerate().map(prepare, num_parallel_calls=1).prefetch(2)


def probe_accuracies(features: keras.Model, seeds: range, per_class: int = 10) -> list[float]:
    """Accuracy on scikit-learn's digits of a linear classifier fitted on a few labels."""
    data = load_digits()
    images = (data.images[..., None] / 16).astype("float32")
    encoded = features.predict(images, batch_size=512, verbose=0)
    accuracies = []
    for seed in seeds:
        order = np.random.default_rng(seed).permutation(len(images))
        chosen = np.concatenate(
            [order[data.target[order] == digit][:per_class] for digit in range(10)]
        )
        rest = np.setdiff1d(order, chosen)
        probe = LogisticRegression(C=1.0, max_iter=2000).fit(encoded[chosen], data.target[chosen])
        accuracies.append(round(float(probe.score(encoded[rest], data.target[rest])), 4))
    return accuracies


def scratch_accuracies(seeds: range, per_class: int = 10) -> list[float]:
    """The same network from random weights, trained on the same few labels."""
    data = load_digits()
    images = (data.images[..., None] / 16).astype("float32")
    accuracies = []
    for seed in seeds:
        keras.utils.set_random_seed(seed)
        order = np.random.default_rng(seed).permutation(len(images))
        chosen = np.concatenate(
            [order[data.target[order] == digit][:per_class] for digit in range(10)]
        )
        rest = np.setdiff1d(order, chosen)
        model = with_head(digits_network())
        model.compile(
            keras.optimizers.Adam(1e-3),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            jit_compile=False,
        )
        model.fit(images[chosen], data.target[chosen], batch_size=20, epochs=60, verbose=0)
        score = model.evaluate(images[rest], data.target[rest], batch_size=512, verbose=0)[1]
        accuracies.append(round(float(score), 4))
    return accuracies


def with_head(network: keras.Model) -> keras.Model:
    return keras.Model(network.input, keras.layers.Dense(10, name="logits")(network.output))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("mnist", type=Path, help="folder with MNIST's four IDX files")
    parser.add_argument("--output", type=Path, default=HOME / WEIGHTS)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0, help="0: as many as there are cores")
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    keras.utils.set_random_seed(options.seed)

    (train_x, train_y), (test_x, test_y) = load_idx_folder(options.mnist, value_range=(0.0, 1.0))
    network = digits_network()
    model = with_head(network)
    steps = len(train_x) // BATCH
    rate = keras.optimizers.schedules.CosineDecay(
        1e-4, options.epochs * steps, warmup_target=3e-3, warmup_steps=steps // 4
    )
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    start = time.perf_counter()
    model.fit(
        batches(train_x, train_y, options.seed),
        steps_per_epoch=steps,
        epochs=options.epochs,
        verbose=2,
    )
    seconds = time.perf_counter() - start

    accuracy = model.evaluate(test_x, test_y, batch_size=1000, verbose=0)[1]
    small = tf.image.resize(test_x, (8, 8), method="area")
    small_accuracy = model.evaluate(small, test_y, batch_size=1000, verbose=0)[1]
    network.save(options.output)
    record = {
        "date": datetime.date.today().isoformat(),
        "data": "MNIST training set, 60,000 images (LeCun, Cortes, Burges; CC BY-SA 3.0)",
        "licence_note": "Only weights learned from the data are shipped, none of the images.",
        "script": "benchmarks/train_digits_backbone.py",
        "parameters": network.count_params(),
        "bytes": options.output.stat().st_size,
        "epochs": options.epochs,
        "batch": BATCH,
        "seed": options.seed,
        "seconds": round(seconds, 1),
        "mnist_test_accuracy": round(float(accuracy), 4),
        "mnist_test_accuracy_at_8x8": round(float(small_accuracy), 4),
        "sklearn_digits_10_labels_a_class": {
            "seeds": [0, 1, 2],
            "linear_probe": probe_accuracies(network, range(3)),
            "same_network_from_scratch": scratch_accuracies(range(3)),
        },
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
        },
    }
    options.output.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
