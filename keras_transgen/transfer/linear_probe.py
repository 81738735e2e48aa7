"""A linear model on features, its L2 penalty chosen on held-out examples."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from keras_transgen.transfer.lbfgs import losses_and_slopes
from keras_transgen.transfer.linear_regressions import TOLERANCE, fit_cross_entropy, fit_ridge
from keras_transgen.transfer.rotated_features import RotatedFeatures, rotate

# Penalties tried, as shares of the features' mean squared norm: first these, strong to weak, then
# those half-way to the best one's neighbours.
L2_SHARES = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
# Held-out losses need no more digits than their spread over the folds has.
SWEEP_TOLERANCE = 1e-4
# The share where too few examples leave none to hold out.
DEFAULT_SHARE = 1e-4
# A path that has grown worse this often in a row will not turn better.
PATIENCE = 2
FOLDS = 5
# With more examples than this one hold-out tells as much as cross-validation.
MANY_EXAMPLES = 2000


@dataclasses.dataclass(frozen=True, eq=False)
class LinearProbe:
    """A fitted linear model.

    Attributes:
        kernel: `[size, outputs]`, float64.
        bias: `[outputs]`.
        l2: Penalty it was fitted with: the loss is the weighted mean over the examples plus
            `l2 / 2` times the squared norm of the kernel.
        tried: Each penalty of the sweep with its mean held-out loss, from strong to weak; empty
            without a sweep.
    """

    kernel: np.ndarray
    bias: np.ndarray
    l2: float
    tried: tuple[tuple[float, float], ...] = ()

    def predict(self, features: Any) -> np.ndarray:
        """Outputs `[count, outputs]` for features `[count, size]`: logits, or predictions."""
        return np.asarray(features, "float64") @ self.kernel + self.bias


def fit_linear_probe(
    features: Any,
    targets: np.ndarray,
    *,
    task: str = "classification",
    l2: float | str = "sweep",
    weights: np.ndarray | None = None,
    views: int = 1,
    seed: int = 0,
) -> LinearProbe:
    """Fit a linear model to features: softmax, sigmoid or ridge regression.

    With `l2="sweep"` the penalty with the lowest loss on held-out examples is taken, by
    cross-validation in five stratified folds, or one hold-out where examples are many; then the
    model is fitted to all of them. Each penalty starts from the solution of the stronger one.

    Args:
        features: `[count, size]`, an array or a memory-mapped one.
        targets: `[count, outputs]`: class probabilities (one-hot rows), labels of 0 and 1, or
            numbers, by the task.
        task: `"classification"`, `"multi_label"` or `"regression"`.
        l2: Penalty, see `LinearProbe`, or `"sweep"` (default). scikit-learn's `C` for three or
            more classes is `1 / (l2 * count)`, with the sum of the weights for the count.
        weights: Weight of each example `[count]`. Defaults to equal ones.
        views: Rows that follow one another and show the same example. Defaults to 1.
        seed: Which examples are held out. Defaults to 0.

    Returns:
        The probe.

    Raises:
        ValueError: The penalty is not above zero.

    Example:
        ```python
        import numpy as np
        from sklearn.datasets import load_iris
        from keras_transgen.transfer.linear_probe import fit_linear_probe

        x, y = load_iris(return_X_y=True)
        probe = fit_linear_probe(x, np.eye(3)[y])
        assert (probe.predict(x).argmax(axis=1) == y).mean() > 0.95
        ```

    Reference:
        Alain and Bengio, Understanding intermediate layers using linear classifier probes, 2016.
    """
    targets = np.asarray(targets, "float64")
    weights = np.ones(len(targets)) if weights is None else np.asarray(weights, "float64")
    counted = (weights > 0).reshape(-1, views).any(axis=1).repeat(views)
    if not counted.all():
        # An example without a weight tells nothing, and a fold of such could not be judged by.
        features, targets, weights = features[counted], targets[counted], weights[counted]
    weights = weights / weights.sum()
    if l2 != "sweep" and (isinstance(l2, str) or not 0 < l2 < np.inf):
        raise ValueError(f"l2 must be a number above zero, or 'sweep'. Received: l2={l2!r}")
    rotated = rotate(features, weights)
    tried: tuple[tuple[float, float], ...] = ()
    if l2 == "sweep":
        scale = max(float(weights @ np.square(rotated.values).sum(axis=1)), 1e-12)
        held_out = held_out_folds(targets, task, views, seed)
        if held_out is None:
            l2 = DEFAULT_SHARE * scale
        else:
            tried = _sweep(rotated, targets, weights, held_out, task, scale)
            l2 = min(tried, key=lambda pair: pair[1])[0]
    solution, bias = _fit(rotated.values, targets, weights[None], float(l2), task)
    kernel, bias = rotated.to_original(solution[0], bias[0])
    return LinearProbe(kernel, bias, float(l2), tried)


def held_out_folds(targets: np.ndarray, task: str, views: int, seed: int) -> np.ndarray | None:
    """Which examples are held out in each fold: bool `[folds, count]`, or `None` for too few.

    Views of an example are held out together, and classes are spread evenly over the folds.

    Args:
        targets: `[count, outputs]`.
        task: As in `fit_linear_probe`.
        views: As in `fit_linear_probe`.
        seed: As in `fit_linear_probe`.
    """
    targets = targets[::views]
    count = len(targets)
    random = np.random.default_rng(seed)
    if task == "classification":
        classes = targets.argmax(axis=1)
        rarest = np.bincount(classes)[np.unique(classes)].min()
    else:
        classes, rarest = np.zeros(count, int), count
    folds = min(FOLDS, int(rarest))
    if folds < 2:
        return None
    place = np.empty(count, int)
    offset = 0
    for each in np.unique(classes):
        members = random.permutation(np.flatnonzero(classes == each))
        # Going on where the last class ended keeps the folds' sizes equal.
        place[members] = (np.arange(len(members)) + offset) % folds
        offset += len(members)
    parts = 1 if count > MANY_EXAMPLES else folds
    return np.repeat(np.stack([place == fold for fold in range(parts)]), views, axis=1)


def _sweep(
    rotated: RotatedFeatures,
    targets: np.ndarray,
    weights: np.ndarray,
    held_out: np.ndarray,
    task: str,
    scale: float,
) -> tuple[tuple[float, float], ...]:
    fitted = np.where(held_out, 0.0, weights)
    judged = np.where(held_out, weights, 0.0)
    fitted, judged = (each / each.sum(axis=1, keepdims=True) for each in (fitted, judged))
    solutions: dict[float, tuple[np.ndarray, np.ndarray]] = {}
    losses: dict[float, float] = {}

    def judge(share: float, start: tuple[np.ndarray, np.ndarray] | None) -> None:
        solutions[share] = _fit(
            rotated.values, targets, fitted, share * scale, task, start, SWEEP_TOLERANCE
        )
        losses[share] = float(
            np.mean(
                [
                    judged[fold] @ _losses(rotated.values @ kernel + bias, targets, task)
                    for fold, (kernel, bias) in enumerate(zip(*solutions[share]))
                ]
            )
        )

    start = None
    for share in L2_SHARES:
        judge(share, start)
        start = solutions[share]
        best = min(losses, key=losses.__getitem__)
        if L2_SHARES.index(share) - L2_SHARES.index(best) == PATIENCE:
            break
    for share in (best * 10**0.5, best * 10**-0.5):
        judge(share, solutions[best])
    return tuple((share * scale, losses[share]) for share in sorted(losses, reverse=True))


def _fit(
    values: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    l2: float,
    task: str,
    start: tuple[np.ndarray, np.ndarray] | None = None,
    tolerance: float = TOLERANCE,
) -> tuple[np.ndarray, np.ndarray]:
    if task == "regression":
        return fit_ridge(values, targets, weights, l2)
    independent = task == "multi_label"
    return fit_cross_entropy(values, targets, weights, l2, start, independent, tolerance)


def _losses(outputs: np.ndarray, targets: np.ndarray, task: str) -> np.ndarray:
    if task == "regression":
        return np.square(outputs - targets).sum(axis=-1)
    return losses_and_slopes(outputs, targets, independent=task == "multi_label")[0]
