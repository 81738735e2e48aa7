"""The linear models, held against scikit-learn's."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from keras_transgen.transfer import lbfgs
from keras_transgen.transfer.linear_regressions import fit_cross_entropy, fit_ridge
from keras_transgen.transfer.rotated_features import rotate

RNG = np.random.default_rng(1)
FEATURES = np.maximum(RNG.normal(size=(60, 25)) @ RNG.normal(size=(25, 25)), 0) / 4
SCORES = FEATURES @ RNG.normal(size=(25, 4)) + RNG.normal(size=(60, 4))
CLASSES = SCORES.argmax(axis=1)
WEIGHTS = RNG.uniform(0.2, 2.0, size=60)
SOLVERS = {"scipy": lbfgs.minimize_at_once, "tfp": lbfgs.minimize_in_graph}


@pytest.fixture(params=SOLVERS)
def solver(request, monkeypatch):
    # Through the front door, with the choice of the solver fixed.
    monkeypatch.setattr(lbfgs, "GRAPH_WORK", 0 if request.param == "tfp" else np.inf)
    return request.param


def fit(targets, l2, weights=None, independent=False):
    weights = np.ones(60) if weights is None else weights
    weights = weights / weights.sum()
    rotated = rotate(FEATURES, weights)
    kernel, bias = fit_cross_entropy(
        rotated.values, targets, weights[None], l2, independent=independent
    )
    return rotated.to_original(kernel[0], bias[0])


@pytest.mark.parametrize("strength", [0.01, 1.0, 100.0])
def test_softmax_regression_is_scikit_learns(solver, strength):
    kernel, bias = fit(np.eye(4)[CLASSES], 1 / (strength * 60))
    expected = LogisticRegression(C=strength, tol=1e-10, max_iter=20000).fit(FEATURES, CLASSES)
    np.testing.assert_allclose(kernel.T, expected.coef_, atol=1e-3)
    logits = FEATURES @ kernel + bias
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, expected.predict_proba(FEATURES), atol=1e-4)


def test_two_classes_are_scikit_learns_with_half_the_c(solver):
    # Softmax spreads scikit-learn's one vector over two, of which each bears half the penalty.
    classes = (CLASSES > 1).astype(int)
    kernel, bias = fit(np.eye(2)[classes], 2 / 60)
    expected = LogisticRegression(C=0.5 * 2, tol=1e-10, max_iter=20000).fit(FEATURES, classes)
    np.testing.assert_allclose(kernel[:, 1] - kernel[:, 0], expected.coef_[0], atol=1e-3)
    np.testing.assert_allclose(bias[1] - bias[0], expected.intercept_[0], atol=1e-3)


def test_sample_weights_are_scikit_learns(solver):
    kernel, _ = fit(np.eye(4)[CLASSES], 1 / (2.0 * WEIGHTS.sum()), WEIGHTS)
    expected = LogisticRegression(C=2.0, tol=1e-10, max_iter=20000)
    expected.fit(FEATURES, CLASSES, sample_weight=WEIGHTS)
    np.testing.assert_allclose(kernel.T, expected.coef_, atol=1e-3)


def test_labels_of_their_own_are_binary_regressions(solver):
    labels = (SCORES > 0.3).astype("float64")
    kernel, bias = fit(labels, 1 / (0.7 * 60), independent=True)
    for label in range(4):
        expected = LogisticRegression(C=0.7, tol=1e-10, max_iter=20000)
        expected.fit(FEATURES, labels[:, label])
        np.testing.assert_allclose(kernel[:, label], expected.coef_[0], atol=1e-3)
        np.testing.assert_allclose(bias[label], expected.intercept_[0], atol=1e-3)


def test_several_fits_at_once_are_each_its_own(solver):
    rotated = rotate(FEATURES, np.full(60, 1 / 60))
    weights = np.stack([np.full(60, 1 / 60), WEIGHTS / WEIGHTS.sum()])
    weights[1, :20] = 0
    targets = np.eye(4)[CLASSES]
    kernels, biases = fit_cross_entropy(rotated.values, targets, weights, 0.02)
    for each in range(2):
        kernel, bias = fit_cross_entropy(rotated.values, targets, weights[each : each + 1], 0.02)
        np.testing.assert_allclose(kernels[each], kernel[0], atol=1e-4)
        np.testing.assert_allclose(biases[each], bias[0], atol=1e-4)


def test_ridge_is_scikit_learns():
    weights = WEIGHTS / WEIGHTS.sum()
    rotated = rotate(FEATURES, weights)
    kernel, bias = rotated.to_original(
        *(each[0] for each in fit_ridge(rotated.values, SCORES, weights[None], 0.3))
    )
    # scikit-learn adds up weighted squared errors, without the half.
    expected = Ridge(alpha=0.3).fit(FEATURES, SCORES, sample_weight=weights)
    np.testing.assert_allclose(kernel.T, expected.coef_, atol=1e-8)
    np.testing.assert_allclose(bias, expected.intercept_, atol=1e-8)


@pytest.mark.parametrize("independent", [False, True])
def test_slopes_are_the_derivatives(independent):
    logits, step = RNG.normal(size=(3, 4)) * 3, 1e-6
    targets = RNG.dirichlet(np.ones(4), size=3)
    _, slopes = lbfgs.losses_and_slopes(logits, targets, independent)
    for column in range(4):
        shift = np.eye(4)[column] * step
        above, _ = lbfgs.losses_and_slopes(logits + shift, targets, independent)
        below, _ = lbfgs.losses_and_slopes(logits - shift, targets, independent)
        np.testing.assert_allclose(slopes[:, column], (above - below) / (2 * step), atol=1e-8)
