"""Rare classes filled up with generated features, before a classifier sees them."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from keras_transgen.datasets.as_arrays import as_arrays
from keras_transgen.datasets.class_names import are_names, names_in, numbers_of
from keras_transgen.fusion.class_labels import checked_classes
from keras_transgen.fusion.feature_vae import FeatureVAE
from keras_transgen.fusion.latent_classes import check_unlabelled_weight
from keras_transgen.generative.generative_model import sampling_seed
from keras_transgen.training.counts import check_count
from keras_transgen.training.replica_noise import whole_seed

# Training steps where no epochs are asked for.
_STEPS = 500


def balance_classes(
    features: Any,
    labels: Any,
    unlabelled: Any = None,
    *,
    count: int | None = None,
    latent_dim: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    unlabelled_weight: float = 0.0,
    seed: int | None = None,
    verbose: Any = "auto",
) -> tuple[np.ndarray, np.ndarray]:
    """Add generated features of the rare classes until every class has as many rows.

    A `FeatureVAE` is trained on all features, labelled or not, and its classes are described by
    the labelled ones (`FeatureVAE.fit_classes`). Without `unlabelled`, a rare class is sampled
    from its normal distribution of latent vectors. With `unlabelled`, rows are drawn by their
    probability of being of the class, and each is sampled anew from its own posterior: from the
    posteriors of the class together, which need not be a normal.

    Give it unlabelled features: what gains is they. With five labels of one class and 200 of each
    other, the balanced accuracy of a linear classifier was 0.7 (Fashion-MNIST) and 2.1 (flowers)
    points above the best of class weights, logit adjustment, SMOTE-like mixing and LDA; without
    unlabelled features it was 0.4 and 1.3 below. Pseudo-labels, which generate nothing, gained as
    much (0.5 and 2.7), so try them too; see `benchmarks/class_imbalance.py`.

    The noise of the samples is learnt as well, and slowly: where classes lie many times their width
    apart, 500 steps leave it too large, so that some samples of a class lie nearer to another one,
    and more `epochs` help. Features that a linear classifier separates by a handful of rows need no
    samples.

    Args:
        features: Float `[rows, feature_dim]`, as a backbone gives them (no need to scale them).
        labels: The class of each row: integers `[rows]` from 0 up, or names.
        unlabelled: Further features of the same length without labels, `[others, feature_dim]`, of
            the same classes. Defaults to none.
        count: Rows that every class is to have; classes with more stay as they are. Defaults to
            the rows of the largest class.
        latent_dim: Latent units of the VAE. Defaults to 32 with unlabelled features and 16
            without.
        epochs: Passes over all features in training. Defaults to as many as make 500 steps.
        batch_size: Features a step. Defaults to a sixth of them, from 16 to 128.
        unlabelled_weight: As in `FeatureVAE.fit_classes`. Defaults to 0: the classes are those of
            the labels, and unlabelled rows tell their shares alone.
        seed: Makes the result reproducible; `None` draws afresh.
        verbose: Progress of the training, as in `keras.Model.fit`. Defaults to `"auto"`: shown.

    Returns:
        `(x, y)`: float32 `[rows + generated, feature_dim]` and their labels, int64 numbers or
        `str` names as they were given. The real rows come first, in their order, as they are; then
        the generated ones, by class. Where no class is short of rows, nothing is trained or added.

    Raises:
        ValueError: Before training: fewer than two classes, a label below 0 or a class number
            without rows between the others, values that are not finite, shapes that do not fit, or
            a number out of range.

    Example:
        ```python
        import numpy as np
        from sklearn.datasets import load_iris
        from sklearn.linear_model import LogisticRegression
        from keras_transgen.fusion import balance_classes

        features, labels = load_iris(return_X_y=True)
        kept = np.r_[:50, 50:100, 100:105]  # Five of the third kind.
        x, y = balance_classes(features[kept], labels[kept], epochs=2, verbose=0, seed=0)
        assert np.bincount(y).tolist() == [50, 50, 50]
        classifier = LogisticRegression(C=0.01).fit(x, y)
        ```

    Reference:
        Kingma, Rezende, Mohamed and Welling, Semi-supervised Learning with Deep Generative Models,
        2014 (M1: a VAE of all rows, then the labels; M2: a generator by class); Tomczak and
        Welling, VAE with a VampPrior, 2018 (a mixture of posteriors). Chawla et al., SMOTE:
        Synthetic Minority Over-sampling Technique, 2002, mixes neighbours instead.
    """
    x = _checked_features(features, "features")
    y, names = _class_numbers(x, labels)
    more = None if unlabelled is None else _checked_features(unlabelled, "unlabelled")
    if more is not None and more.shape[1] != x.shape[1]:
        raise ValueError(
            "unlabelled must have as many features a row as the labelled ones: take both from one "
            f"backbone. Received: features of shape {x.shape} and unlabelled of {more.shape}"
        )
    for name, value in (
        ("count", count),
        ("latent_dim", latent_dim),
        ("epochs", epochs),
        ("batch_size", batch_size),
    ):
        if value is not None:
            check_count(name, value)
    check_unlabelled_weight(unlabelled_weight)
    if unlabelled_weight and more is None:
        raise ValueError(
            "unlabelled_weight is that of unlabelled features: give unlabelled=, or leave it out. "
            f"Received: unlabelled_weight={unlabelled_weight} without unlabelled"
        )
    whole = whole_seed(seed)
    if not 0 <= whole < 2**31:
        whole = int(np.random.SeedSequence(whole % 2**128).generate_state(1)[0] >> 1)
    rows = np.bincount(y)
    missing = np.maximum(0, (rows.max() if count is None else count) - rows)
    if missing.any():
        vae = trained_vae(x, y, more, latent_dim, epochs, batch_size, whole, verbose)
        made = np.repeat(np.arange(len(rows)), missing)
        samples, _ = samples_of_classes(vae, x, y, more, made, unlabelled_weight, whole)
        x, y = np.concatenate([x, samples]), np.concatenate([y, made])
    return x, y if names is None else np.asarray(names, object)[y].astype(str)


def _checked_features(values: Any, name: str) -> np.ndarray:
    """Features as float32 `[rows, feature_dim]`."""
    found = np.asarray(as_arrays(values, name, rank=2))
    if found.dtype.kind not in "fiu" or found.ndim != 2 or 0 in found.shape:
        raise ValueError(
            f"{name} must be numbers of shape [rows, feature_dim]: extract them with a backbone. "
            f"Received: {name} of shape {found.shape} and type {found.dtype}"
        )
    with np.errstate(over="ignore"):
        found = found.astype("float32")
    broken = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(broken):
        raise ValueError(
            f"{name} must be finite (as float32); leave broken rows out. "
            "Received: NaN or infinite values in "
            f"{len(broken)} of {len(found)} rows, row {broken[0]} the first"
        )
    return found


def _class_numbers(x: np.ndarray, labels: Any) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Labels as int64 `[rows]`, and the names if they are words."""
    names = None
    if are_names(labels) or are_names(np.asarray(labels)):
        names = names_in(labels)
        labels = numbers_of(labels, names)
    labels = np.asarray(as_arrays(labels, "labels"))
    if labels.dtype.kind == "i" and labels.size and labels.min() < 0:
        raise ValueError(
            "Every row of features needs a class, an integer from 0 up; give rows without one as "
            f"unlabelled=. Received: {int((labels < 0).sum())} labels below 0"
        )
    y = checked_classes(x, labels)
    found = np.unique(y)
    if len(found) < 2:
        raise ValueError(
            "There must be two classes or more to balance. "
            f"Received: {len(y)} rows, all of class {found[0] if names is None else names[0]}"
        )
    if found[-1] != len(found) - 1:
        absent = next(each for each, number in enumerate(found) if each != number)
        raise ValueError(
            "Every class from 0 to the largest number must have examples, for nothing can be "
            "sampled of one that has none. Leave no gaps between the numbers, or give names. "
            f"Received: labels up to {found[-1]}, and no row of class {absent}"
        )
    return y, names


def trained_vae(
    features: np.ndarray,
    labels: np.ndarray,
    unlabelled: np.ndarray | None,
    latent_dim: int | None,
    epochs: int | None,
    batch_size: int | None,
    seed: int,
    verbose: Any,
) -> FeatureVAE:
    """A VAE of all features; arguments as of `balance_classes`, checked."""
    every = features if unlabelled is None else np.concatenate([features, unlabelled])
    latent_dim = latent_dim or (16 if unlabelled is None else 32)
    vae = FeatureVAE(features.shape[1], int(labels.max()) + 1, latent_dim, seed=seed)
    # Keras starts weights from its global generator, which is the caller's.
    random = np.random.default_rng(seed)
    for weight in vae.trainable_weights:
        if len(weight.shape) == 2:
            start = keras.initializers.GlorotUniform(int(random.integers(2**31)))
            weight.assign(start(weight.shape))
    vae.compile(jit_compile=False)  # Compiling takes longer than 500 steps gain.
    # Epochs of one step would cost more than the step.
    batch_size = batch_size or min(128, max(16, len(every) // 6))
    epochs = epochs or math.ceil(_STEPS / math.ceil(len(every) / batch_size))
    vae.fit(every, batch_size=batch_size, epochs=epochs, verbose=verbose)
    return vae


def samples_of_classes(
    vae: FeatureVAE,
    features: np.ndarray,
    labels: np.ndarray,
    unlabelled: np.ndarray | None,
    wanted: np.ndarray,
    unlabelled_weight: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """A generated row for each wanted label, and the unlabelled rows' probabilities."""
    if unlabelled is None:
        found = vae.fit_classes(features, labels)
        return np.asarray(vae.sample(wanted, seed=seed)), found.probabilities
    found = vae.fit_classes(features, labels, unlabelled, unlabelled_weight)
    every = np.concatenate([features, unlabelled])
    probabilities = np.concatenate([np.eye(found.known.size)[labels], found.probabilities])
    random = np.random.default_rng(seed)
    rows = np.empty(len(wanted), int)
    for label in np.unique(wanted):
        shares = probabilities[:, label] / probabilities[:, label].sum()
        asked = wanted == label
        rows[asked] = random.choice(len(every), asked.sum(), p=shares)
    for_latent, for_data = (sampling_seed(int(each)) for each in random.integers(2**31, size=2))
    z = vae.encode(every[rows]).sample(seed=for_latent)
    samples = vae.feature_scale.inverse(vae.decode(z).sample(seed=for_data))
    return np.asarray(samples), found.probabilities
