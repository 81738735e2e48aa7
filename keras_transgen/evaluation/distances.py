"""Distances between two sets of features: Fréchet and kernel distance."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from keras_transgen.evaluation.feature_matrix import (
    feature_matrix,
    require_count,
    two_feature_matrices,
)


class KernelDistance(NamedTuple):
    """A kernel distance with its spread.

    Attributes:
        mean: Mean over the subsets.
        standard_deviation: Over the subsets; NaN if there was one subset only.
    """

    mean: float
    standard_deviation: float


def frechet_distance(a: Any, b: Any) -> float:
    """Fréchet distance between Gaussians fitted to two sets of features.

    `|mean_a - mean_b|^2 + trace(cov_a + cov_b - 2 (cov_a cov_b)^(1/2))`, the squared 2-Wasserstein
    distance of the two Gaussians. It is called FID only for the features of the FID network; it is
    biased upwards for few samples, so compare numbers taken with equal counts.

    Args:
        a: Features `[count, features]`.
        b: Features `[other count, features]`.

    Returns:
        The distance, at least 0.

    Raises:
        ValueError: If ranks or numbers of features are wrong, a value is not finite, or a set has
            fewer than 2 rows. A set with no more rows than features warns: its covariance is
            singular.

    Example:
        ```python
        import numpy as np
        from keras_transgen.evaluation import frechet_distance

        a = np.random.default_rng(0).normal(size=(1000, 8))
        assert abs(frechet_distance(a, a + 1.0) - 8.0) < 1e-6
        ```

    Reference:
        Dowson and Landau, 1982; Heusel et al., "GANs Trained by a Two Time-Scale Update Rule",
        2017.
    """
    a, b = two_feature_matrices(a, b, "a", "b")
    for matrix, name in ((a, "a"), (b, "b")):
        require_count(matrix, 2, name, "a covariance needs two")
        warn_if_singular(len(matrix), matrix.shape[1], name)
    return frechet_distance_from_statistics(
        a.mean(axis=0),
        np.atleast_2d(np.cov(a, rowvar=False)),
        b.mean(axis=0),
        np.atleast_2d(np.cov(b, rowvar=False)),
    )


def frechet_distance_from_statistics(
    mean_a: Any, covariance_a: Any, mean_b: Any, covariance_b: Any
) -> float:
    """Fréchet distance between two Gaussians given by mean and covariance.

    Args:
        mean_a: Mean `[features]`.
        covariance_a: Covariance `[features, features]`, symmetric and positive semidefinite.
        mean_b: Mean `[features]`.
        covariance_b: Covariance `[features, features]`.

    Returns:
        The distance, at least 0.

    Raises:
        ValueError: If shapes do not fit, a value is not finite, or a covariance is not symmetric
            or has a negative eigenvalue.

    Example:
        ```python
        import numpy as np
        from keras_transgen.evaluation import frechet_distance_from_statistics

        d = frechet_distance_from_statistics([0.0], [[1.0]], [3.0], [[4.0]])
        assert abs(d - (3.0**2 + (1.0 - 2.0) ** 2)) < 1e-12
        ```

    Reference:
        Dowson and Landau, "The Fréchet Distance between Multivariate Normal Distributions", 1982.
    """
    mean_a, covariance_a = _gaussian(mean_a, covariance_a, "a")
    mean_b, covariance_b = _gaussian(mean_b, covariance_b, "b")
    if mean_a.shape != mean_b.shape:
        raise ValueError(
            "Expected two Gaussians with the same number of features. "
            f"Received: mean_a.shape={mean_a.shape}, mean_b.shape={mean_b.shape}"
        )
    factor_a = _factor(covariance_a, "covariance_a")
    factor_b = _factor(covariance_b, "covariance_b")
    # For A = F F' and B = G G', trace((A B)^(1/2)) is the nuclear norm of F' G: no square root of a
    # matrix that is not symmetric, and no rounding error under a root where A and B are singular.
    cross = np.linalg.svd(factor_a.T @ factor_b, compute_uv=False).sum()
    distance = (
        np.sum((mean_a - mean_b) ** 2)
        + np.trace(covariance_a)
        + np.trace(covariance_b)
        - 2.0 * cross
    )
    return float(max(distance, 0.0))


def kernel_distance(
    a: Any,
    b: Any,
    *,
    degree: int = 3,
    subset_size: int = 1000,
    subsets: int = 100,
    seed: int = 0,
) -> float:
    """Kernel distance: unbiased squared maximum mean discrepancy with a polynomial kernel.

    The kernel is `(x.y / features + 1) ** degree`. The estimate is the mean over random subsets
    and has no bias at any count, so it may be slightly negative for equal distributions.

    Args:
        a: Features `[count, features]`.
        b: Features `[other count, features]`.
        degree: Of the polynomial. Defaults to 3.
        subset_size: Rows of each set per subset, at most the smaller count. Defaults to 1000.
        subsets: Number of subsets; one is enough where it holds both sets whole. Defaults to 100.
        seed: Of the subsets. Defaults to 0.

    Returns:
        The distance; around 0 for equal distributions.

    Raises:
        ValueError: If ranks or numbers of features are wrong, a value is not finite, a set has
            fewer than 2 rows, or an argument is out of its range.

    Example:
        ```python
        import numpy as np
        from keras_transgen.evaluation import kernel_distance

        random = np.random.default_rng(0)
        a, b = random.normal(size=(2, 500, 8))
        assert abs(kernel_distance(a, b)) < 0.05 < kernel_distance(a, b + 1.0)
        ```

    Reference:
        Bińkowski et al., "Demystifying MMD GANs", 2018.
    """
    return kernel_distance_with_error(
        a, b, degree=degree, subset_size=subset_size, subsets=subsets, seed=seed
    ).mean


def kernel_distance_with_error(
    a: Any,
    b: Any,
    *,
    degree: int = 3,
    subset_size: int = 1000,
    subsets: int = 100,
    seed: int = 0,
) -> KernelDistance:
    """`kernel_distance` with its standard deviation over the subsets.

    Args:
        a: Features `[count, features]`.
        b: Features `[other count, features]`.
        degree: As in `kernel_distance`.
        subset_size: As in `kernel_distance`.
        subsets: As in `kernel_distance`.
        seed: As in `kernel_distance`.

    Returns:
        A `KernelDistance` of mean and standard deviation. The deviation is NaN where one subset
        holds both sets whole, for then there is nothing to vary: choose a smaller `subset_size`.

    Raises:
        ValueError: As `kernel_distance`.

    Example:
        ```python
        import numpy as np
        from keras_transgen.evaluation import kernel_distance_with_error

        a, b = np.random.default_rng(0).normal(size=(2, 500, 8))
        mean, standard_deviation = kernel_distance_with_error(a, b, subset_size=100)
        ```

    Reference:
        Bińkowski et al., "Demystifying MMD GANs", 2018.
    """
    a, b = two_feature_matrices(a, b, "a", "b")
    for matrix, name in ((a, "a"), (b, "b")):
        require_count(matrix, 2, name, "the unbiased estimate needs two")
    if degree < 1 or subset_size < 2 or subsets < 1:
        raise ValueError(
            "Expected degree of at least 1, subset_size of at least 2 and subsets of at least 1. "
            f"Received: degree={degree}, subset_size={subset_size}, subsets={subsets}"
        )
    size = min(subset_size, len(a), len(b))
    if size == len(a) == len(b):
        subsets = 1
    random = np.random.default_rng(seed)
    drawn = [
        (random.choice(len(a), size, replace=False), random.choice(len(b), size, replace=False))
        for _ in range(subsets)
    ]
    features = a.shape[1]

    def kernel(products: np.ndarray) -> np.ndarray:
        base = products / features + 1.0
        # A general power is ten times slower than the few multiplications it stands for.
        return math.prod([base] * degree)

    # One kernel matrix for all subsets where that is less work than one for each.
    whole = len(a) ** 2 + len(b) ** 2 + len(a) * len(b)
    shared = whole <= 3 * subsets * size**2
    values = (_distances_by_sums if shared else _distances_by_subset)(a, b, drawn, kernel)
    deviation = float(np.std(values, ddof=1)) if subsets > 1 else float("nan")
    return KernelDistance(float(np.mean(values)), deviation)


def warn_if_singular(count: int, features: int, name: str) -> None:
    """Warn where a covariance of `count` rows cannot have full rank."""
    if count <= features:
        warnings.warn(
            f"A covariance of {features} features is singular with fewer than {features + 1} rows, "
            f"and the Fréchet distance is then far too large or too small. {name} has {count}; "
            "take more samples, or the kernel distance, which has no bias at small counts.",
            UserWarning,
            stacklevel=3,
        )


def _gaussian(mean: Any, covariance: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    mean = np.asarray(mean, dtype=np.float64)
    covariance = feature_matrix(covariance, f"covariance_{name}")
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
        raise ValueError(
            f"Expected mean_{name} [features] and covariance_{name} [features, features]. "
            f"Received: mean_{name}.shape={mean.shape}, covariance_{name}.shape={covariance.shape}"
        )
    if not np.isfinite(mean).all():
        position = int(np.flatnonzero(~np.isfinite(mean))[0])
        raise ValueError(
            f"Expected finite values in mean_{name}. Received: {mean[position]} in position "
            f"{position}"
        )
    return mean, covariance


def _factor(covariance: np.ndarray, name: str) -> np.ndarray:
    """`F`, `[features, rank]`, with `F F' = covariance`."""
    largest = np.abs(covariance).max()
    if not np.allclose(covariance, covariance.T, rtol=1e-6, atol=1e-9 * largest):
        raise ValueError(f"Expected a symmetric {name}. Received: one that differs from its mirror")
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2.0)
    if values[0] < -1e-6 * max(values[-1], 0.0) - np.finfo(float).tiny:
        raise ValueError(
            f"Expected {name} without negative eigenvalues, as covariances are. "
            f"Received: smallest eigenvalue {values[0]:.6g}, largest {values[-1]:.6g}"
        )
    used = values > len(values) * np.finfo(float).eps * max(values[-1], 0.0)
    return vectors[:, used] * np.sqrt(values[used])


# From inner products to kernel values.
_Kernel = Callable[[np.ndarray], np.ndarray]
_Drawn = list[tuple[np.ndarray, np.ndarray]]


def _distances_by_subset(
    a: np.ndarray, b: np.ndarray, drawn: _Drawn, kernel: _Kernel
) -> np.ndarray:
    distances = []
    for rows_a, rows_b in drawn:
        x, y = a[rows_a], b[rows_b]
        k_xx, k_yy = kernel(x @ x.T), kernel(y @ y.T)
        within = k_xx.sum() - np.trace(k_xx) + k_yy.sum() - np.trace(k_yy)
        size = len(x)
        distances.append(within / (size * (size - 1)) - 2.0 * kernel(x @ y.T).mean())
    return np.array(distances)


def _distances_by_sums(a: np.ndarray, b: np.ndarray, drawn: _Drawn, kernel: _Kernel) -> np.ndarray:
    size = len(drawn[0][0])
    in_a = np.zeros((len(drawn), len(a)))
    in_b = np.zeros((len(drawn), len(b)))
    for i, (rows_a, rows_b) in enumerate(drawn):
        in_a[i, rows_a] = 1.0
        in_b[i, rows_b] = 1.0

    def sums(x: np.ndarray, y: np.ndarray, in_x: np.ndarray, in_y: np.ndarray) -> np.ndarray:
        """Sum of the kernel over each subset, block by block of rows: bounded memory."""
        total = np.zeros(len(drawn))
        for start in range(0, len(x), 1024):
            block = slice(start, start + 1024)
            total += ((in_x[:, block] @ kernel(x[block] @ y.T)) * in_y).sum(axis=1)
        return total

    def diagonal(x: np.ndarray, in_x: np.ndarray) -> np.ndarray:
        return in_x @ kernel(np.einsum("ij,ij->i", x, x))

    within = sums(a, a, in_a, in_a) - diagonal(a, in_a) + sums(b, b, in_b, in_b) - diagonal(b, in_b)
    return within / (size * (size - 1)) - 2.0 * sums(a, b, in_a, in_b) / size**2
