"""Cross-entropy of a penalised linear model, minimised by L-BFGS: SciPy's or TFP's."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

MAX_ITERATIONS = 1000
# Multiplications in one evaluation from which TensorFlow's threads or GPU repay the three seconds
# of tracing TFP's minimiser.
GRAPH_WORK = 2e8


class Problem(NamedTuple):
    """Several fits to the same features that differ in the weights of the examples.

    Attributes:
        values: Features `[count, rank]`, float64.
        targets: Probabilities `[count, outputs]`.
        weights: Weight of each example in each fit `[fits, count]`; rows add up to one.
        l2: Penalty: the loss gains `l2 / 2` times the squared norm of the kernel.
        scale: Unit of each kernel coordinate `[fits, rank]`.
        bias_scale: Unit of the biases.
        independent: Sigmoid cross-entropy summed over the outputs, instead of softmax's.
        tolerance: Largest component of the gradient, in these units, at which to stop.
    """

    values: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    l2: float
    scale: np.ndarray
    bias_scale: float
    independent: bool
    tolerance: float


def minimize(
    problem: Problem, kernel: np.ndarray, bias: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise from a starting point.

    Args:
        problem: The features, targets and penalty.
        kernel: Where to start, `[fits, rank, outputs]`.
        bias: Where to start, `[fits, outputs]`.

    Returns:
        Kernel and bias of the minimum.

    Reference:
        Liu and Nocedal, On the limited memory BFGS method for large scale optimization, 1989.
    """
    work = kernel.size * problem.values.shape[0]
    solve = minimize_in_graph if work > GRAPH_WORK else minimize_at_once
    return solve(problem, kernel, bias)


def minimize_at_once(
    problem: Problem, kernel: np.ndarray, bias: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise by SciPy, one fit after the other; nothing to trace, so best for small problems.

    Args:
        problem: As in `minimize`.
        kernel: As in `minimize`.
        bias: As in `minimize`.
    """
    from threadpoolctl import threadpool_limits

    # Products of this size gain nothing from a second thread, which waits in between by spinning.
    with threadpool_limits(1, user_api="blas"):
        found = [_minimize_one(problem, fit, kernel[fit], bias[fit]) for fit in range(len(kernel))]
    kernels, biases = zip(*found)
    return np.stack(kernels), np.stack(biases)


def _minimize_one(
    problem: Problem, fit: int, kernel: np.ndarray, bias: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    from scipy.optimize import minimize as scipy_minimize

    scale = problem.scale[fit]
    present = problem.weights[fit] > 0
    values, targets = problem.values[present] * scale, problem.targets[present]
    weights = problem.weights[fit][present]
    # In these units the penalty is no longer the same for all coordinates.
    penalty = problem.l2 * np.square(scale)[:, None]

    def loss_and_gradient(position: np.ndarray) -> tuple[float, np.ndarray]:
        unit_kernel = position[: kernel.size].reshape(kernel.shape)
        logits = values @ unit_kernel + position[kernel.size :] * problem.bias_scale
        losses, slopes = losses_and_slopes(logits, targets, problem.independent)
        slopes *= weights[:, None]
        shrinkage = penalty * unit_kernel
        by_kernel = (values.T @ slopes + shrinkage).ravel()
        by_bias = slopes.sum(axis=0) * problem.bias_scale
        loss = weights @ losses + 0.5 * np.sum(shrinkage * unit_kernel)
        return loss, np.concatenate([by_kernel, by_bias])

    found = scipy_minimize(
        loss_and_gradient,
        np.concatenate([(kernel / scale[:, None]).ravel(), bias / problem.bias_scale]),
        jac=True,
        method="L-BFGS-B",
        options={
            "gtol": problem.tolerance,
            "ftol": 0.0,
            "maxiter": MAX_ITERATIONS,
            "maxfun": 2 * MAX_ITERATIONS,
        },
    ).x
    found_kernel = found[: kernel.size].reshape(kernel.shape) * scale[:, None]
    return found_kernel, found[kernel.size :] * problem.bias_scale


def losses_and_slopes(
    logits: np.ndarray, targets: np.ndarray, independent: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Cross-entropy of each example in nats `[count]`, and its slope by the logits.

    Args:
        logits: `[count, outputs]`.
        targets: Probabilities `[count, outputs]`.
        independent: Whether outputs are labels of their own, or classes of which one is true.
    """
    if independent:
        losses = (np.logaddexp(0.0, logits) - targets * logits).sum(axis=-1)
        return losses, 0.5 * (1.0 + np.tanh(0.5 * logits)) - targets
    shifted = logits - logits.max(axis=-1, keepdims=True)
    exponentials = np.exp(shifted)
    total = exponentials.sum(axis=-1, keepdims=True)
    losses = -(targets * (shifted - np.log(total))).sum(axis=-1)
    # Rows of probabilities add up to one, so the slope is the difference of probabilities.
    return losses, exponentials / total - targets


def minimize_in_graph(
    problem: Problem, kernel: np.ndarray, bias: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise by TFP, all fits at once, on all cores or the GPU; best for large problems.

    Args:
        problem: As in `minimize`.
        kernel: As in `minimize`.
        bias: As in `minimize`.
    """
    fits, rank, outputs = kernel.shape
    scale = problem.scale[:, :, None]
    start = np.concatenate([(kernel / scale).reshape(fits, -1), bias / problem.bias_scale], axis=1)
    numbers = (
        start,
        problem.values,
        problem.targets,
        problem.weights,
        scale,
        problem.l2,
        problem.bias_scale,
        problem.tolerance,
    )
    found = _graph(problem.independent)(*(tf.constant(each, tf.float64) for each in numbers))
    found = found.numpy()
    kernel = found[:, : rank * outputs].reshape(fits, rank, outputs) * scale
    return kernel, found[:, rank * outputs :] * problem.bias_scale


@functools.cache
def _graph(independent: bool) -> Any:
    """The minimisation as one graph for all sizes."""
    # Here, since TFP takes a second to import and small problems do without it.
    import tensorflow_probability as tfp

    matrix, scalar = tf.TensorSpec([None, None], tf.float64), tf.TensorSpec([], tf.float64)
    scales = tf.TensorSpec([None, None, 1], tf.float64)

    @tf.function(
        input_signature=[matrix, matrix, matrix, matrix, scales, scalar, scalar, scalar],
        autograph=False,
    )
    def minimize(
        start: tf.Tensor,
        values: tf.Tensor,
        targets: tf.Tensor,
        weights: tf.Tensor,
        scale: tf.Tensor,
        l2: tf.Tensor,
        bias_scale: tf.Tensor,
        tolerance: tf.Tensor,
    ) -> tf.Tensor:
        rank, outputs = tf.shape(values)[1], tf.shape(targets)[1]

        def loss_and_gradient(position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            fits = tf.shape(position)[0]
            kernel = tf.reshape(position[:, : rank * outputs], [fits, rank, outputs]) * scale
            bias = position[:, rank * outputs :] * bias_scale
            logits = tf.einsum("nr,frk->fnk", values, kernel) + bias[:, None, :]
            if independent:
                losses = tf.reduce_sum(tf.nn.softplus(logits) - targets * logits, axis=-1)
                slopes = tf.nn.sigmoid(logits) - targets
            else:
                logs = tf.nn.log_softmax(logits)
                losses = -tf.reduce_sum(targets * logs, axis=-1)
                slopes = tf.exp(logs) - targets
            slopes *= weights[:, :, None]
            by_kernel = tf.einsum("nr,fnk->frk", values, slopes) + l2 * kernel
            loss = tf.reduce_sum(weights * losses, axis=1)
            loss += 0.5 * l2 * tf.reduce_sum(tf.square(kernel), axis=[1, 2])
            gradient = tf.concat(
                [
                    tf.reshape(by_kernel * scale, [fits, -1]),
                    tf.reduce_sum(slopes, axis=1) * bias_scale,
                ],
                axis=1,
            )
            return loss, gradient

        return tfp.optimizer.lbfgs_minimize(
            loss_and_gradient,
            initial_position=start,
            tolerance=tolerance,
            max_iterations=MAX_ITERATIONS,
            stopping_condition=tfp.optimizer.converged_all,
        ).position

    return minimize
