"""CORAL against SciPy's matrix roots, and its purpose: the target's covariance."""

import numpy as np
import scipy.linalg

from keras_transgen.transfer.subspace import CORAL
from tests.transfer.subspace.domains import two_domains


def test_covariance_and_mean_become_the_targets():
    source, target = two_domains()
    moved, kept = CORAL(regularization=0.0).fit_transform(source, target)
    np.testing.assert_allclose(np.cov(moved.T), np.cov(target.T), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(moved.mean(0), target.mean(0), atol=1e-10)
    np.testing.assert_array_equal(kept, target)


def test_against_scipy_with_the_papers_identity():
    """For unit variances a regularization of one adds the identity, as the paper does."""
    source, target = ((x - x.mean(0)) / x.std(0, ddof=1) for x in two_domains())
    c_s = np.cov(source.T) + np.eye(6)
    c_t = np.cov(target.T) + np.eye(6)
    expected = source @ np.linalg.inv(scipy.linalg.sqrtm(c_s)) @ scipy.linalg.sqrtm(c_t)
    moved, _ = CORAL().fit_transform(source, target)
    np.testing.assert_allclose(moved, expected, atol=1e-8)


def test_directions_without_variance_stay_finite():
    source, target = two_domains()
    source[:, 2] = 3.0
    moved, _ = CORAL(regularization=0.0).fit_transform(source, target)
    assert np.isfinite(moved).all()
    # What remains of a whitened source is a projection: rank five of six.
    assert np.linalg.matrix_rank(np.cov(moved.T)) == 5


def test_a_single_feature():
    source, target = two_domains(features=1)
    moved, _ = CORAL(regularization=0.0).fit_transform(source, target)
    np.testing.assert_allclose(moved.std(), target.std() * (79 / 80 / (59 / 60)) ** 0.5, rtol=1e-10)
