"""Penalised linear models on rotated features: softmax, sigmoid and ridge regression."""

from __future__ import annotations

import numpy as np

from keras_transgen.transfer.lbfgs import Problem, minimize

TOLERANCE = 1e-7


def fit_cross_entropy(
    values: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    l2: float,
    start: tuple[np.ndarray, np.ndarray] | None = None,
    independent: bool = False,
    tolerance: float = TOLERANCE,
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise cross-entropy plus `l2 / 2` times the squared norm of the weights, by L-BFGS.

    Several fits to the same features that differ in the weights of the examples are solved
    together. The coordinates are scaled by the curvature where all logits are zero, which
    rotated features make diagonal; ten to forty iterations then do.

    Args:
        values: Rotated features `[count, rank]`, float64.
        targets: Probabilities `[count, outputs]`; rows add up to one unless `independent`.
        weights: Weight of each example in each fit, `[fits, count]`; rows add up to one.
        l2: Strength of the penalty, above zero.
        start: Weights and biases to start from; zeros and the outputs' shares if `None`.
        independent: Sigmoid cross-entropy summed over the outputs, instead of softmax's.
        tolerance: Largest component of the scaled gradient at which to stop. Defaults to 1e-7.

    Returns:
        Weights `[fits, rank, outputs]` and biases `[fits, outputs]`.

    Example:
        ```python
        import numpy as np
        from keras_transgen.transfer.linear_regressions import fit_cross_entropy

        values = np.array([[-1.0], [1.0]])
        weights, bias = fit_cross_entropy(values, np.eye(2), np.full((1, 2), 0.5), l2=0.1)
        assert weights.shape == (1, 1, 2) and abs(bias).max() < 1e-6
        ```
    """
    outputs = targets.shape[1]
    if start is None:
        shape = (len(weights), values.shape[1], outputs)
        start = (np.zeros(shape), _start_bias(weights @ targets, independent))
    at_zero = 0.25 if independent else (1 - 1 / outputs) / outputs
    curvature = at_zero * (weights @ np.square(values)) + l2
    problem = Problem(
        values,
        targets,
        weights,
        l2,
        curvature**-0.5,
        at_zero**-0.5,
        independent,
        tolerance,
    )
    return minimize(problem, *start)


def fit_ridge(
    values: np.ndarray, targets: np.ndarray, weights: np.ndarray, l2: float
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise half the squared error plus `l2 / 2` times the squared norm, in closed form.

    Args:
        values: Rotated features `[count, rank]`.
        targets: Targets `[count, outputs]`.
        weights: As in `fit_cross_entropy`.
        l2: As in `fit_cross_entropy`.

    Returns:
        Weights `[fits, rank, outputs]` and biases `[fits, outputs]`.

    Reference:
        Hoerl and Kennard, Ridge Regression: Biased Estimation for Nonorthogonal Problems, 1970.
    """
    solutions, biases = [], []
    for each in weights:
        mean, target_mean = each @ values, each @ targets
        centred = values - mean
        weighted = centred * each[:, None]
        gram = weighted.T @ centred
        gram[np.diag_indices_from(gram)] += l2
        solution = np.linalg.solve(gram, weighted.T @ (targets - target_mean))
        solutions.append(solution)
        biases.append(target_mean - mean @ solution)
    return np.stack(solutions), np.stack(biases)


def _start_bias(shares: np.ndarray, independent: bool) -> np.ndarray:
    shares = np.clip(shares, 1e-6, 1.0 - 1e-6)
    if independent:
        return np.log(shares / (1 - shares))
    # Softmax does not see a common shift.
    return np.log(shares) - np.log(shares).mean(axis=-1, keepdims=True)
