"""What every metric of this room takes: a finite float64 matrix `[count, features]`."""

from typing import Any

import numpy as np


def feature_matrix(values: Any, name: str) -> np.ndarray:
    """`values` as a finite float64 matrix."""
    try:
        matrix = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Expected {name} as numbers [count, features]. Received: {type(values).__name__}"
        ) from error
    if matrix.ndim != 2 or not matrix.shape[1]:
        raise ValueError(
            f"Expected {name} of shape [count, features]; take features of images by a backbone, "
            f"or flatten them. Received: {name}.shape={matrix.shape}"
        )
    # The sum is finite whenever every value is, short of overflow: one cheap pass.
    if not np.isfinite(matrix.sum()):
        rows = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
        if len(rows):
            raise ValueError(
                f"Expected finite values in {name}; a diverged model gives others. Received: NaN "
                f"or infinity in {len(rows)} of {len(matrix)} rows, the first is row {rows[0]}"
            )
    return matrix


def two_feature_matrices(
    first: Any, second: Any, first_name: str, second_name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Both as `feature_matrix`, with the same number of features.

    Returns:
        Two float64 matrices.
    """
    one, other = feature_matrix(first, first_name), feature_matrix(second, second_name)
    if one.shape[1] != other.shape[1]:
        raise ValueError(
            f"Expected {first_name} and {second_name} with the same number of features, from the "
            f"same backbone. Received: {first_name}.shape={one.shape}, "
            f"{second_name}.shape={other.shape}"
        )
    return one, other


def require_count(matrix: np.ndarray, least: int, name: str, reason: str) -> None:
    """Refuse a matrix with fewer than `least` rows."""
    if len(matrix) < least:
        raise ValueError(
            f"Expected at least {least} rows in {name}: {reason}. Received: {len(matrix)}"
        )
