"""Fidelity and variety of samples apart: precision and recall, density and coverage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from keras_transgen.evaluation.feature_matrix import require_count, two_feature_matrices

# Rounding may put a point that lies on a ball's edge outside; this is far above rounding in
# float64 and far below any difference between two images.
_EDGE = 1.0 + 1e-9


class PrecisionRecall(NamedTuple):
    """How much of the samples is real, and how much of the real the samples cover.

    Attributes:
        precision: Share of samples within the real manifold, 0 to 1.
        recall: Share of real examples within the samples' manifold, 0 to 1.
    """

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """Precision and recall less moved by outliers.

    Attributes:
        density: Mean number of real balls a sample lies in, over `k`; can exceed 1.
        coverage: Share of real examples whose ball holds a sample, 0 to 1.
    """

    density: float
    coverage: float


def precision_recall(
    real: Any, generated: Any, k: int = 5, *, block_size: int = 1024
) -> PrecisionRecall:
    """Precision and recall of samples, by the k-nearest-neighbour manifolds of both sets.

    A set's manifold is the union of balls around its points, each reaching the point's k-th
    nearest neighbour in the set. A generator that shows a few perfect images over and over has a
    high precision and a low recall.

    Args:
        real: Features of real data `[count, features]`.
        generated: Features of samples `[other count, features]`.
        k: Neighbours, at least 1. Defaults to 5, as Naeem et al. do; torch-fidelity takes 3,
            and numbers of another k are not to be compared.
        block_size: Rows compared at once; memory is `block_size` times the count. Defaults to
            1024.

    Returns:
        A named tuple `(precision, recall)`.

    Raises:
        ValueError: If ranks or numbers of features are wrong, a value is not finite, or a set has
            no more than `k` rows.

    Example:
        ```python
        import numpy as np
        from keras_transgen.evaluation import precision_recall

        real = np.random.default_rng(0).normal(size=(500, 4))
        collapsed = np.repeat(real[:10], 50, axis=0)
        precision, recall = precision_recall(real, collapsed)
        assert precision == 1.0 and recall < 0.1
        ```

    Reference:
        Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative
        Models", 2019.
    """
    real, generated = _two_sets(real, generated, k, need_generated=k + 1)
    real_radii = _squared_radii(real, k, block_size)
    generated_radii = _squared_radii(generated, k, block_size)
    in_real = np.zeros(len(generated), dtype=bool)
    covered = np.zeros(len(real), dtype=bool)
    for rows, squared in _blocks(generated, real, block_size):
        in_real[rows] = (squared <= real_radii).any(axis=1)
        covered |= (squared <= generated_radii[rows, None]).any(axis=0)
    return PrecisionRecall(float(in_real.mean()), float(covered.mean()))


def density_coverage(
    real: Any, generated: Any, k: int = 5, *, block_size: int = 1024
) -> DensityCoverage:
    """Density and coverage of samples, by the balls around the real examples only.

    Args:
        real: Features of real data `[count, features]`.
        generated: Features of samples `[other count, features]`.
        k: Neighbours, at least 1. Defaults to 5, as Naeem et al. do; torch-fidelity takes 3,
            and numbers of another k are not to be compared.
        block_size: Rows compared at once; memory is `block_size` times the count. Defaults to
            1024.

    Returns:
        A named tuple `(density, coverage)`. For equal distributions density is about 1, and
        coverage about `1 - 2 ** -k` for equal counts.

    Raises:
        ValueError: If ranks or numbers of features are wrong, a value is not finite, `real` has no
            more than `k` rows, or `generated` has none.

    Example:
        ```python
        import numpy as np
        from keras_transgen.evaluation import density_coverage

        real, generated = np.random.default_rng(0).normal(size=(2, 500, 4))
        density, coverage = density_coverage(real, generated)
        assert 0.8 < density < 1.2 and coverage > 0.9
        ```

    Reference:
        Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", 2020.
    """
    real, generated = _two_sets(real, generated, k, need_generated=1)
    radii = _squared_radii(real, k, block_size)
    balls = 0
    covered = np.zeros(len(real), dtype=bool)
    for _, squared in _blocks(generated, real, block_size):
        inside = squared <= radii
        balls += int(inside.sum())
        covered |= inside.any(axis=0)
    return DensityCoverage(balls / (k * len(generated)), float(covered.mean()))


def _two_sets(
    real: Any, generated: Any, k: int, need_generated: int
) -> tuple[np.ndarray, np.ndarray]:
    if k < 1:
        raise ValueError(f"Expected k of at least 1. Received: k={k}")
    real, generated = two_feature_matrices(real, generated, "real", "generated")
    require_count(real, k + 1, "real", f"each needs k={k} neighbours")
    reason = f"each needs k={k} neighbours" if need_generated > 1 else "there is nothing to judge"
    require_count(generated, need_generated, "generated", reason)
    # Distances do not change, and rounding is least around the origin.
    middle = real.mean(axis=0)
    return real - middle, generated - middle


def _squared_radii(points: np.ndarray, k: int, block_size: int) -> np.ndarray:
    """Squared distance of each point to its k-th nearest other point, with its edge."""
    radii = np.empty(len(points))
    for rows, squared in _blocks(points, points, block_size):
        # The nearest one is the point itself, or a copy of it at distance 0 all the same.
        squared[np.arange(len(squared)), np.arange(rows.start, rows.start + len(squared))] = 0.0
        radii[rows] = np.partition(squared, k, axis=1)[:, k]
    return radii * _EDGE


def _blocks(x: np.ndarray, y: np.ndarray, block_size: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Squared distances of a block of rows of `x` to all of `y`, block after block."""
    y_squares = np.einsum("ij,ij->i", y, y)
    noise = 4.0 * np.finfo(float).eps * np.sqrt(x.shape[1])
    for start in range(0, len(x), block_size):
        rows = slice(start, min(start + block_size, len(x)))
        sums = np.einsum("ij,ij->i", x[rows], x[rows])[:, None] + y_squares
        squared = sums - 2.0 * (x[rows] @ y.T)
        # What rounding leaves of the distance between equal points is 0, so that copies meet.
        squared[squared <= noise * sums] = 0.0
        yield rows, squared
