"""SubspaceAlignment against singular vectors, and where the answer is known."""

import numpy as np

from keras_transgen.transfer.subspace import SubspaceAlignment
from tests.transfer.subspace.domains import two_domains


def axes_by_svd(x, count):
    return np.linalg.svd(x - x.mean(0), full_matrices=False)[2][:count].T


def test_against_numpy():
    source, target = two_domains()
    p_s, p_t = axes_by_svd(source, 3), axes_by_svd(target, 3)
    expected_source = (source - source.mean(0)) @ p_s @ p_s.T @ p_t
    expected_target = (target - target.mean(0)) @ p_t
    moved = SubspaceAlignment(3).fit_transform(source, target)
    for found, expected in zip(moved, (expected_source, expected_target)):
        # Axes have no sign; the source's cancels, the target's is the column's.
        signs = np.sign((found * expected).sum(0))
        np.testing.assert_allclose(found, expected * signs, atol=1e-10)


def test_the_alignment_is_the_nearest():
    """No other matrix brings the source's basis closer to the target's."""
    method = SubspaceAlignment(3).fit(*two_domains())

    def gap(matrix):
        return np.linalg.norm(method.source_axes_ @ matrix - method.target_axes_)

    rng = np.random.default_rng(0)
    best = gap(method.alignment_)
    others = [gap(method.alignment_ + 0.1 * rng.normal(size=(3, 3))) for _ in range(50)]
    assert best < min(others)


def test_equal_domains_are_projected_alike():
    source, _ = two_domains()
    one, other = SubspaceAlignment(4).fit_transform(source, source + 5.0)
    np.testing.assert_allclose(one, other, atol=1e-10)
