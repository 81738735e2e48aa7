"""TransferComponentAnalysis against the paper's formulas, written out in NumPy."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from keras_transgen.transfer.subspace import TransferComponentAnalysis
from tests.transfer.subspace.domains import two_domains


def components_by_the_paper(kernel, sources, mu, count):
    """Leading eigenvectors of (K L K + mu I)^-1 K H K, of length one under the constraint."""
    rows = len(kernel)
    targets = rows - sources
    of_means = np.full((rows, rows), -1.0 / (sources * targets))
    of_means[:sources, :sources] = 1.0 / sources**2
    of_means[sources:, sources:] = 1.0 / targets**2
    h = np.eye(rows) - np.ones((rows, rows)) / rows
    constraint = kernel @ of_means @ kernel + mu * np.eye(rows)
    values, vectors = np.linalg.eig(np.linalg.inv(constraint) @ kernel @ h @ kernel)
    order = np.argsort(-values.real)[:count]
    w = vectors.real[:, order]
    return w / np.sqrt(np.einsum("ic,ij,jc->c", w, constraint, w)), values.real[order]


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_against_numpy(kernel):
    source, target = two_domains()
    both = np.concatenate([source, target])
    gamma = 0.02
    matrix = both @ both.T if kernel == "linear" else np.exp(-gamma * cdist(both, both) ** 2)
    w, values = components_by_the_paper(matrix, len(source), 0.3, 3)
    method = TransferComponentAnalysis(3, mu=0.3, kernel=kernel, gamma=gamma)
    found = np.concatenate(method.fit_transform(source, target))
    np.testing.assert_allclose(method.variances_, values, rtol=1e-6)
    signs = np.sign((method.weights_ * w).sum(0))
    np.testing.assert_allclose(found, matrix @ w * signs, atol=1e-5 * np.abs(found).max())


def test_a_small_mu_makes_the_domains_means_agree():
    """The constraint bounds the discrepancy left: the sum of (difference of means)^2 is below 1."""
    source, target = two_domains()
    before = np.linalg.norm(source.mean(0) - target.mean(0)) / source.std()
    moved = TransferComponentAnalysis(2, mu=1e-3, kernel="linear").fit_transform(source, target)
    spread = np.concatenate(moved).std()
    assert before > 1.0
    assert np.linalg.norm(moved[0].mean(0) - moved[1].mean(0)) / spread < 0.05 * before


def test_the_median_sets_gamma():
    source, target = two_domains()
    both = np.concatenate([source, target])
    squared = cdist(both, both)[np.triu_indices(len(both), 1)] ** 2
    method = TransferComponentAnalysis(2).fit(source, target)
    assert method.gamma_ == pytest.approx(1 / (2 * np.median(squared)))
    given = TransferComponentAnalysis(2, gamma=method.gamma_).fit(source, target)
    np.testing.assert_allclose(given.variances_, method.variances_)


def test_a_callable_kernel():
    source, target = two_domains(source=12, target=10)
    by_name = TransferComponentAnalysis(2, kernel="linear").fit(source, target)
    by_function = TransferComponentAnalysis(2, kernel=np.dot).fit(source, target)
    np.testing.assert_allclose(by_function.variances_, by_name.variances_)
