"""Classes of latents: closed forms, an EM written row by row, and known Gaussians found again."""

import numpy as np
import pytest
import scipy.stats

from keras_transgen.fusion.latent_classes import classes_of_all, classes_of_labelled

CENTRES = np.array([[0.0, 0.0, 1.0], [4.0, 1.0, -1.0]])
COVARIANCE = np.array([[1.0, 0.4, 0.0], [0.4, 0.5, 0.1], [0.0, 0.1, 0.8]])


def drawn(count: int, share: float, seed: int = 0):
    """Rows of two Gaussians, and which they are of; the second has the share `share`."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(count) < share).astype(int)
    rows = CENTRES[labels] + rng.multivariate_normal(np.zeros(3), COVARIANCE, count)
    return rows, labels


def row_by_row(rows, variances, labels, others, their_variances, weight, iterations):
    """The same EM from SciPy's densities, one row and one class after the other."""
    classes = labels.max() + 1
    every = np.concatenate([rows, others])
    spread = np.concatenate([variances, their_variances])
    means = [rows[labels == c].mean(axis=0) for c in range(classes)]
    within = [np.outer(z - means[c], z - means[c]) for z, c in zip(rows, labels)]
    covariance = np.mean(within, axis=0) + np.diag(variances.mean(axis=0))
    shares = [1.0 / classes] * classes
    for _ in range(iterations):
        fixed = [[float(c == label) for c in range(classes)] for label in labels]
        free = []
        for z in others:
            joint = [
                shares[c] * scipy.stats.multivariate_normal(means[c], covariance).pdf(z)
                for c in range(classes)
            ]
            free.append([each / sum(joint) for each in joint])
        weights = np.array(fixed + [[weight * each for each in row] for row in free])
        counts = weights.sum(axis=1)
        shares = [np.mean([each[c] for each in free]) for c in range(classes)]
        means = [np.average(every, axis=0, weights=weights[:, c]) for c in range(classes)]
        covariance = np.diag(np.average(spread, axis=0, weights=counts)) + sum(
            weights[i, c] * np.outer(z - means[c], z - means[c]) / counts.sum()
            for i, z in enumerate(every)
            for c in range(classes)
        )
    return np.array(means), covariance, np.array(shares)


def test_labelled_rows_alone_give_their_means_and_the_law_of_total_variance():
    rows, labels = drawn(60, 0.3)
    variances = np.random.default_rng(1).random((60, 3))
    found = classes_of_labelled(rows, variances, labels, 3)
    for each in (0, 1):
        np.testing.assert_allclose(found.means[each], rows[labels == each].mean(axis=0))
    within = np.concatenate([rows[labels == c] - rows[labels == c].mean(axis=0) for c in (0, 1)])
    expected = within.T @ within / 60 + np.diag(variances.mean(axis=0))
    np.testing.assert_allclose(found.covariance, expected, atol=1e-12)
    np.testing.assert_array_equal(found.known, [True, True, False])
    np.testing.assert_allclose(found.proportions, np.bincount(labels, minlength=3) / 60)


@pytest.mark.parametrize(("weight", "iterations"), [(1.0, 1), (1.0, 4), (0.1, 3)])
def test_agrees_with_an_em_row_by_row(weight, iterations):
    rows, labels = drawn(20, 0.4)
    others, _ = drawn(50, 0.3, seed=1)
    rng = np.random.default_rng(2)
    variances, theirs = rng.random((20, 3)), rng.random((50, 3))
    found = classes_of_all(
        (rows, variances), labels, (others, theirs), 2, weight, iterations, -np.inf
    )
    expected = row_by_row(rows, variances, labels, others, theirs, weight, iterations)
    for one, other in zip((found.means, found.covariance, found.proportions), expected):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-10)


def test_known_gaussians_are_found_within_the_sampling_error():
    """Five labelled rows of the rare class: the others, a tenth of them rare, tell its mean."""
    rows, labels = drawn(5000, 0.1)
    few = np.concatenate([np.flatnonzero(labels == 0)[:50], np.flatnonzero(labels == 1)[:5]])
    rest = np.setdiff1d(np.arange(5000), few)
    nothing = np.zeros_like(rows)
    found = classes_of_all((rows[few], nothing[few]), labels[few], (rows[rest], nothing[rest]), 2)
    counts = np.bincount(labels)
    errors = np.sqrt(np.diag(COVARIANCE) / counts[:, None])
    assert (np.abs(found.means - CENTRES) < 4.0 * errors).all()
    np.testing.assert_allclose(found.covariance, COVARIANCE, atol=4.0 * np.sqrt(2.0 / 5000))
    share = np.mean(labels[rest])
    assert abs(found.proportions[1] - share) < 0.01
    fives = np.flatnonzero(labels == 1)[:100].reshape(20, 5)
    alone = np.mean([np.linalg.norm(rows[five].mean(axis=0) - CENTRES[1]) for five in fives])
    assert np.linalg.norm(found.means[1] - CENTRES[1]) < 0.2 * alone
    told = found.probabilities.argmax(axis=1) == labels[rest]
    assert told.mean() > 0.97
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0)


@pytest.mark.parametrize("weight", [1.0, 0.1])
def test_the_bound_never_falls_and_is_the_likelihood_where_rows_are_points(weight):
    rows, labels = drawn(30, 0.5)
    others, _ = drawn(200, 0.2, seed=1)
    found = classes_of_all(
        (rows, 0.0 * rows), labels, (others, 0.0 * others), 2, weight, 30, -np.inf
    )
    assert len(found.bounds) == 31
    assert np.diff(found.bounds).min() > -1e-9 * abs(found.bounds[0])
    assert found.bounds[-1] > found.bounds[0] + 0.1
    density = [scipy.stats.multivariate_normal(each, found.covariance) for each in found.means]
    expected = sum(density[c].logpdf(z) for z, c in zip(rows, labels)) + weight * np.sum(
        np.log(sum(p * each.pdf(others) for p, each in zip(found.proportions, density)))
    )
    assert found.bounds[-1] == pytest.approx(expected, rel=1e-9)


def test_classes_without_a_labelled_row_take_no_part():
    rows, labels = drawn(40, 0.5)
    others, _ = drawn(100, 0.5, seed=1)
    found = classes_of_all((rows, 0 * rows), 2 * labels, (others, 0 * others), 3)
    np.testing.assert_array_equal(found.known, [True, False, True])
    assert found.proportions[1] == 0.0
    assert (found.probabilities[:, 1] == 0.0).all()
    two = classes_of_all((rows, 0 * rows), labels, (others, 0 * others), 2)
    np.testing.assert_allclose(found.means[[0, 2]], two.means)
