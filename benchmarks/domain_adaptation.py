"""Transfer between MNIST and scikit-learn's digits at 8x8: accuracy before and after alignment.

A classifier learns from labelled images of one collection and is tested on the other, of which the
methods see images without labels: those on arrays are the recipes of docs/recipes.md, and one is a
penalty in training. No setting is chosen by the target's labels. MNIST is brought to
8x8 in two ways: as scikit-learn's digits were made (cropped to the ink, 32x32 in black and white,
dark points of 4x4 blocks counted), and plainly resized with its margin, which leaves a larger gap.

    python benchmarks/domain_adaptation.py --rows 1000 --seeds 4
"""

import argparse

import keras
import numpy as np
import tensorflow as tf
from report import publish, shared
from scipy.linalg import eigh
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

import keras_transgen as ktg
from keras_transgen.transfer import DomainAdaptation

COMPONENTS = 20
CLASSIFIERS = {
    "1-NN": lambda: KNeighborsClassifier(1),
    "logistic": lambda: LogisticRegression(C=1.0, max_iter=2000),
}


def as_digits(images: np.ndarray) -> np.ndarray:
    """28x28 images made to 8x8 as scikit-learn's digits were: ink box, two tones, 4x4 counts."""
    boxes = []
    for image in images[..., 0]:
        # A generator may give an image without any ink.
        ink = image > min(0.2, image.max() / 2)
        rows, columns = (np.flatnonzero(ink.any(axis)) for axis in (1, 0))
        if not len(rows):
            rows = columns = np.arange(28)
        half = max(np.ptp(rows), np.ptp(columns)) / 2 + 0.5
        centre = np.array([rows[0] + rows[-1], columns[0] + columns[-1]]) / 2
        boxes.append(np.concatenate([centre - half, centre + half]) / 27.0)
    count = len(images)
    boxes = np.array(boxes, "float32")
    cut = tf.image.crop_and_resize(images, boxes, np.arange(count), (32, 32)).numpy()
    black = (cut[..., 0] > 0.5).astype("float32")
    return black.reshape(count, 8, 4, 8, 4).mean(axis=(2, 4))[..., None]


def plainly_resized(images: np.ndarray) -> np.ndarray:
    return tf.image.resize(images, (8, 8), method="area").numpy()


RESIZED = {"as digits": as_digits, "plain": plainly_resized}


def subspace_alignment(source, target):
    a, b = (PCA(COMPONENTS, svd_solver="full").fit(domain) for domain in (source, target))
    turned = a.transform(source) @ a.components_ @ b.components_.T
    return turned, b.transform(target)


def coral(source, target):
    def power(domain, exponent):
        covariance = np.cov(domain, rowvar=False)
        covariance += np.trace(covariance) / len(covariance) * np.eye(len(covariance))
        values, vectors = np.linalg.eigh(covariance)
        return (vectors * values**exponent) @ vectors.T

    colouring = power(source, -0.5) @ power(target, 0.5)
    return (source - source.mean(axis=0)) @ colouring + target.mean(axis=0), target


def transfer_components(source, target):
    rows = np.concatenate([source, target])
    kernel = rbf_kernel(rows, gamma=0.5 / np.median(pdist(rows[::2], "sqeuclidean")))
    shares = np.repeat([1 / len(source), -1 / len(target)], [len(source), len(target)])
    difference = kernel @ shares
    centred = kernel - kernel.mean(axis=0)
    constraint = np.outer(difference, difference) + np.eye(len(rows))
    last = (len(rows) - COMPONENTS, len(rows) - 1)
    moved = kernel @ eigh(centred.T @ centred, constraint, subset_by_index=last)[1]
    return moved[: len(source)], moved[len(source) :]


def by_domain(source, target):
    return tuple(StandardScaler().fit_transform(x) for x in (source, target))


def after(method):
    """Features by a method, of domains that were standardised each before, as the papers do."""
    return lambda source, target: method(*by_domain(source, target))


METHODS = {
    "pixels as they are": lambda source, target: (source, target),
    "each domain standardised": by_domain,
    f"subspace alignment, {COMPONENTS} components": after(subspace_alignment),
    "CORAL": after(coral),
    f"transfer components, {COMPONENTS}": after(transfer_components),
}


def small_network(seed: int) -> ktg.KerasBackbone:
    keras.utils.set_random_seed(seed)
    network = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(32, activation="relu"),
        ]
    )
    return ktg.KerasBackbone(network, name="small", value_range=(0.0, 1.0))


def trained_accuracy(source, labels, target, target_labels, weight, seed, epochs) -> float:
    model = DomainAdaptation(
        small_network(seed),
        10,
        penalty_weight=weight,
        head_initialization="random",
        learning_rate=2e-3,
        seed=seed,
    )
    model.fit(source, labels, target=target, epochs=epochs, batch_size=64, verbose=0)
    return float((model.classify(target, verbose=0) == target_labels).mean())


def accuracies(source, target, options, seed) -> dict[str, list[float]]:
    """Accuracy on the target by method: 1-NN, logistic regression (or the network's own head)."""
    (x, y), (target_x, target_y) = source, target
    found = {}
    for name, method in METHODS.items():
        before, moved = method(*(each.reshape(len(each), -1) for each in (x, target_x)))
        found[name] = [
            float(make().fit(before, y).score(moved, target_y)) for make in CLASSIFIERS.values()
        ]
    for weight in (0.0, options.penalty_weight):
        name = f"small network, discrepancy penalty {weight:g}"
        score = trained_accuracy(x, y, target_x, target_y, weight, seed, options.epochs)
        found[name] = [score]
    return found


def drawn(data, count, seed):
    rows = np.random.default_rng(seed).permutation(len(data[1]))[:count]
    return data[0][rows], data[1][rows]


def cell(runs: list[list[float]]) -> str:
    means = np.mean(runs, axis=0)
    return " / ".join(f"{mean:.3f}" for mean in means)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=1000, help="of each domain")
    arguments.add_argument("--seeds", type=int, default=4)
    arguments.add_argument("--epochs", type=int, default=15, help="of the small network")
    arguments.add_argument("--penalty-weight", type=float, default=1.0)
    arguments.add_argument("--dry", action="store_true", help="print, do not publish")
    options = arguments.parse_args()
    digits = ktg.datasets.load_digits()
    (images, labels), _ = ktg.datasets.load_idx_folder(shared("data", "mnist"), (0.0, 1.0))
    pairs, results = [], {}
    for resized, resize in RESIZED.items():
        for forward in (True, False):
            pair = f"{'MNIST to digits' if forward else 'digits to MNIST'} ({resized})"
            pairs.append(pair)
            for seed in range(options.seeds):
                mnist = drawn((images, labels), options.rows, seed)
                domains = [(resize(mnist[0]), mnist[1]), drawn(digits, options.rows, seed)]
                source, target = domains if forward else domains[::-1]
                for name, scores in accuracies(source, target, options, seed).items():
                    results.setdefault(name, {}).setdefault(pair, []).append(scores)
                print(pair, seed, flush=True)
    rows = [("method", *pairs)]
    rows += [(name, *(cell(found[pair]) for pair in pairs)) for name, found in results.items()]
    base = results["pixels as they are"]
    gains = []
    for name, found in list(results.items())[1:-2]:
        change = [np.mean(found[pair], axis=0) - np.mean(base[pair], axis=0) for pair in pairs]
        gains.append(
            f"{name} {np.mean(change):+.3f} (from {np.min(change):+.3f} to {np.max(change):+.3f})"
        )
    without, penalised = list(results.values())[-2:]
    change = [np.mean(penalised[pair]) - np.mean(without[pair]) for pair in pairs]
    verdict = (
        f"Mean of {options.seeds} draws of {options.rows} images each, 1-NN / logistic regression. "
        f"Mean change against the pixels as they are: {'; '.join(gains)}. The penalty changes the "
        f"network's accuracy by {np.mean(change):+.3f} on average (from {np.min(change):+.3f} to "
        f"{np.max(change):+.3f}). Settings are fixed: none was chosen by the target's labels."
    )
    if options.dry:
        for row in rows:
            print(" | ".join(row))
        print(verdict)
        return
    publish(
        "Transfer between MNIST and scikit-learn's digits by aligned features",
        "accuracy before and after for each method, told as it is",
        rows,
        verdict,
        __file__,
    )


if __name__ == "__main__":
    main()
