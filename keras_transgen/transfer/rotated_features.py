"""Features in the basis in which a penalised linear model is smallest and best conditioned."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

# Directions whose standard deviation is below this share of the largest carry rounding noise only.
RELATIVE_RANK = 1e-7
_BLOCK_ROWS = 8192


@dataclasses.dataclass(frozen=True, eq=False)
class RotatedFeatures:
    """Features `X` as `values = (X - mean) @ basis`, `[count, rank]`, in float64.

    An orthonormal basis of the space that the centred features span changes neither a linear
    model's predictions nor the norm of its weights, so a fit with an L2 penalty here is the fit
    there, with at most as many coordinates as examples.

    Args:
        values: `[count, rank]`, uncorrelated over the examples.
        mean: `[size]`, what was subtracted.
        basis: `[size, rank]`, orthonormal columns.
    """

    values: np.ndarray
    mean: np.ndarray
    basis: np.ndarray

    def to_original(self, weights: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights and bias for the features as they were.

        Args:
            weights: `[rank, outputs]`.
            bias: `[outputs]`.

        Returns:
            Kernel `[size, outputs]` and bias `[outputs]`.
        """
        kernel = self.basis @ weights
        return kernel, bias - self.mean @ kernel


def rotate(features: Any, weights: np.ndarray) -> RotatedFeatures:
    """Centre features and rotate them onto their principal axes.

    Args:
        features: `[count, size]`, an array or a memory-mapped one; read in blocks.
        weights: Weight of each example, `[count]`, adding up to one.

    Returns:
        The rotated features.

    Reference:
        Hastie and Tibshirani, Efficient Quadratic Regularization for Expression Arrays, 2004.
    """
    count, size = features.shape
    mean = sum((weights[part] @ _block(features, part) for part in _parts(count)), np.zeros(size))
    if count <= size:
        centred = _block(features, slice(None)) - mean
        eigenvalues, vectors = np.linalg.eigh(centred @ centred.T)
        kept = _kept(eigenvalues)
        lengths = np.sqrt(eigenvalues[kept])
        values = vectors[:, kept] * lengths
        return RotatedFeatures(values, mean, centred.T @ (vectors[:, kept] / lengths))
    covariance = np.zeros((size, size))
    for part in _parts(count):
        centred = _block(features, part) - mean
        covariance += centred.T @ centred
    eigenvalues, vectors = np.linalg.eigh(covariance)
    basis = vectors[:, _kept(eigenvalues)]
    values = np.empty((count, basis.shape[1]))
    for part in _parts(count):
        values[part] = (_block(features, part) - mean) @ basis
    return RotatedFeatures(values, mean, basis)


def _kept(eigenvalues: np.ndarray) -> np.ndarray:
    largest = max(float(eigenvalues[-1]), 0.0)
    # Strongest first.
    return np.flatnonzero(eigenvalues > largest * RELATIVE_RANK**2 + 1e-300)[::-1]


def _block(features: Any, part: slice) -> np.ndarray:
    return np.asarray(features[part], "float64")


def _parts(count: int) -> list[slice]:
    return [slice(start, start + _BLOCK_ROWS) for start in range(0, count, _BLOCK_ROWS)]
