import warnings

import numpy as np
import pytest
import scipy.linalg
from scipy.stats import ortho_group
from sklearn.metrics.pairwise import polynomial_kernel

from keras_transgen.evaluation import distances as module
from keras_transgen.evaluation import (
    frechet_distance,
    frechet_distance_from_statistics,
    kernel_distance,
    kernel_distance_with_error,
)


def random_covariance(random, features, rank=None):
    factor = random.normal(size=(features, rank or features))
    return factor @ factor.T


def frechet_by_scipy(mean_a, covariance_a, mean_b, covariance_b):
    root = scipy.linalg.sqrtm(covariance_a @ covariance_b)
    return (
        np.sum((mean_a - mean_b) ** 2)
        + np.trace(covariance_a)
        + np.trace(covariance_b)
        - 2 * np.trace(root).real
    )


@pytest.mark.parametrize("features", [1, 2, 17])
def test_frechet_distance_agrees_with_scipy_sqrtm(features):
    random = np.random.default_rng(features)
    statistics = []
    for _ in range(2):
        statistics += [random.normal(size=features), random_covariance(random, features)]
    assert frechet_distance_from_statistics(*statistics) == pytest.approx(
        frechet_by_scipy(*statistics), rel=1e-10
    )


def test_frechet_distance_of_samples_agrees_with_scipy_sqrtm():
    random = np.random.default_rng(0)
    a = random.normal(size=(300, 6)) @ random.normal(size=(6, 6))
    b = random.gamma(2.0, size=(200, 6))
    expected = frechet_by_scipy(
        a.mean(0), np.cov(a, rowvar=False), b.mean(0), np.cov(b, rowvar=False)
    )
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-10)


def test_frechet_distance_of_diagonal_gaussians_is_the_closed_form():
    means = np.array([[0.0, 1.0, -2.0], [3.0, 1.5, -2.0]])
    deviations = np.array([[1.0, 0.5, 2.0], [4.0, 0.1, 2.0]])
    expected = np.sum((means[0] - means[1]) ** 2) + np.sum((deviations[0] - deviations[1]) ** 2)
    computed = frechet_distance_from_statistics(
        means[0], np.diag(deviations[0] ** 2), means[1], np.diag(deviations[1] ** 2)
    )
    assert computed == pytest.approx(expected, rel=1e-12)


def test_frechet_distance_of_orthogonal_singular_gaussians():
    """Two lines at a right angle share nothing: the traces add up."""
    a, b = np.diag([4.0, 0.0, 0.0]), np.diag([0.0, 9.0, 0.0])
    zero = np.zeros(3)
    assert frechet_distance_from_statistics(zero, a, zero, b) == pytest.approx(13.0, rel=1e-12)
    assert frechet_distance_from_statistics(zero, a, zero, 4 * a) == pytest.approx(4.0, rel=1e-12)
    assert frechet_distance_from_statistics(zero, 0 * a, zero, b) == pytest.approx(9.0, rel=1e-12)


def test_frechet_distance_of_a_set_to_itself_is_zero_even_when_singular():
    random = np.random.default_rng(1)
    covariance = random_covariance(random, 40, rank=7) * 1e6
    mean = random.normal(size=40)
    own = frechet_distance_from_statistics(mean, covariance, mean, covariance)
    assert own <= 1e-9 * np.trace(covariance)


def test_frechet_distance_does_not_change_under_rotation_shift_order_or_exchange():
    random = np.random.default_rng(2)
    a, b = random.normal(size=(60, 5)), random.exponential(size=(80, 5))
    rotation = ortho_group.rvs(5, random_state=3)
    distance = frechet_distance(a, b)
    assert frechet_distance(b, a) == pytest.approx(distance, rel=1e-10)
    assert frechet_distance(a[::-1], random.permutation(b)) == pytest.approx(distance, rel=1e-10)
    assert frechet_distance(a @ rotation + 7, b @ rotation + 7) == pytest.approx(distance, rel=1e-9)
    assert frechet_distance(-a, -b) == pytest.approx(distance, rel=1e-10)
    assert frechet_distance(3 * a, 3 * b) == pytest.approx(9 * distance, rel=1e-10)


def test_frechet_distance_with_few_samples_warns_and_says_how_many():
    a = np.random.default_rng(0).normal(size=(6, 6))
    with pytest.warns(UserWarning, match=r"fewer than 7 rows.*a has 6"):
        frechet_distance(a, np.concatenate([a, a]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frechet_distance(np.concatenate([a, -a]), np.concatenate([a, a]))


def unbiased_mmd(a, b, degree):
    """Sums over pairs, written out."""
    k_aa, k_bb, k_ab = (
        polynomial_kernel(x, y, degree=degree, gamma=1 / a.shape[1], coef0=1)
        for x, y in ((a, a), (b, b), (a, b))
    )
    n, m = len(a), len(b)
    within_a = sum(k_aa[i, j] for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_b = sum(k_bb[i, j] for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_a + within_b - 2 * k_ab.mean()


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_kernel_distance_of_whole_sets_agrees_with_scikit_learns_kernel(degree):
    random = np.random.default_rng(0)
    a, b = random.normal(size=(40, 7)), random.exponential(size=(40, 7))
    expected = unbiased_mmd(a, b, degree)
    assert kernel_distance(a, b, degree=degree) == pytest.approx(expected, rel=1e-10)
    deviation = kernel_distance_with_error(a, b, degree=degree).standard_deviation
    assert np.isnan(deviation)


def test_kernel_distance_over_subsets_is_the_mean_and_spread_of_the_subsets(monkeypatch):
    random = np.random.default_rng(0)
    a, b = random.normal(size=(50, 4)), random.exponential(size=(35, 4))
    draw = np.random.default_rng(9)
    values = []
    for _ in range(12):
        rows_a = draw.choice(50, 20, replace=False)
        rows_b = draw.choice(35, 20, replace=False)
        values.append(unbiased_mmd(a[rows_a], b[rows_b], 3))
    for way in ("_distances_by_sums", "_distances_by_subset"):
        with monkeypatch.context() as patch:
            for name in ("_distances_by_sums", "_distances_by_subset"):
                patch.setattr(module, name, getattr(module, way))
            result = kernel_distance_with_error(a, b, subset_size=20, subsets=12, seed=9)
        assert result.mean == pytest.approx(np.mean(values), rel=1e-9)
        assert result.standard_deviation == pytest.approx(np.std(values, ddof=1), rel=1e-9)


def test_kernel_distance_sums_more_rows_than_one_block():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(1100, 2)), random.exponential(size=(1100, 2))
    whole = kernel_distance(a, b, subset_size=1100)
    x = np.concatenate([a, b])
    weights = np.concatenate([np.ones(1100), -np.ones(1100)])
    kernel = polynomial_kernel(x, degree=3, gamma=0.5, coef0=1)
    off_diagonal = kernel - np.diag(np.diag(kernel))
    within = (off_diagonal[:1100, :1100].sum() + off_diagonal[1100:, 1100:].sum()) / (1100 * 1099)
    across = weights @ kernel @ weights - kernel[:1100, :1100].sum() - kernel[1100:, 1100:].sum()
    assert whole == pytest.approx(within + across / 1100**2, rel=1e-9)


def test_kernel_distance_has_no_bias():
    """Of equal distributions its mean over draws is 0 within its own error, and it takes both
    signs; the plain estimate, with the diagonal, would be far above."""
    values = []
    for seed in range(200):
        a, b = np.random.default_rng(seed).normal(size=(2, 25, 3))
        values.append(kernel_distance(a, b))
    error = np.std(values) / np.sqrt(200)
    assert abs(np.mean(values)) < 4 * error
    assert min(values) < 0 < max(values)


def test_kernel_distance_is_the_closed_form_for_a_shifted_gaussian():
    """Degree 1: k = x.y / d + 1, so the squared discrepancy is |mean difference|^2 / d."""
    random = np.random.default_rng(4)
    shift = np.array([1.0, -2.0, 0.5, 0.0])
    a, b = random.normal(size=(4000, 4)), random.normal(size=(4000, 4)) + shift
    result = kernel_distance(a, b, degree=1, subset_size=4000)
    assert result == pytest.approx(np.sum(shift**2) / 4, rel=0.05)


def test_kernel_distance_does_not_change_under_rotation_order_exchange_or_sign():
    random = np.random.default_rng(2)
    a, b = random.normal(size=(60, 5)), random.exponential(size=(60, 5))
    rotation = ortho_group.rvs(5, random_state=3)
    distance = kernel_distance(a, b)
    assert kernel_distance(b, a) == pytest.approx(distance, rel=1e-10)
    assert kernel_distance(random.permutation(a), b[::-1]) == pytest.approx(distance, rel=1e-10)
    assert kernel_distance(a @ rotation, b @ rotation) == pytest.approx(distance, rel=1e-10)
    assert kernel_distance(-a, -b) == pytest.approx(distance, rel=1e-10)
    sampled = [kernel_distance(a, b, subset_size=20, subsets=3, seed=s) for s in (5, 5, 6)]
    assert sampled[0] == sampled[1] != sampled[2]


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_wrong_features_are_refused(distance):
    good = np.random.default_rng(0).normal(size=(10, 3))
    for bad, message in [
        (np.zeros((10, 2, 2)), r"b\.shape=\(10, 2, 2\)"),
        (np.zeros(10), r"b\.shape=\(10,\)"),
        (np.zeros((10, 0)), r"b\.shape=\(10, 0\)"),
        (np.zeros((10, 4)), r"a\.shape=\(10, 3\), b\.shape=\(10, 4\)"),
        (np.zeros((1, 3)), r"at least 2 rows in b.*Received: 1"),
        ([["a", "b", "c"]], "numbers"),
    ]:
        with pytest.raises(ValueError, match=message):
            distance(good, bad)
    for value in (np.nan, np.inf, -np.inf):
        broken = good.copy()
        broken[7, 1] = broken[8, 0] = value
        with pytest.raises(ValueError, match=r"in b;.* 2 of 10 rows, the first is row 7"):
            distance(good, broken)


@pytest.mark.parametrize("options", [{"degree": 0}, {"subset_size": 1}, {"subsets": 0}])
def test_wrong_kernel_arguments_are_refused(options):
    a = np.zeros((5, 2))
    with pytest.raises(ValueError, match="Received: degree="):
        kernel_distance(a, a, **options)


@pytest.mark.parametrize(
    ("statistics", "message"),
    [
        (([0.0], np.eye(2), [0.0, 0.0], np.eye(2)), r"mean_a\.shape=\(1,\)"),
        (([0.0, 0.0], np.eye(2), np.zeros(3), np.eye(3)), "same number of features"),
        (([0.0, 0.0], [[1.0, 0.5], [0.0, 1.0]], [0.0, 0.0], np.eye(2)), "symmetric covariance_a"),
        (([0.0, 0.0], np.eye(2), [0.0, 0.0], np.diag([1.0, -0.5])), "covariance_b without neg"),
        (([0.0, np.nan], np.eye(2), [0.0, 0.0], np.eye(2)), "mean_a.*position 1"),
        (([0.0, 0.0], np.eye(2), [0.0, 0.0], np.diag([np.inf, 1])), "first is row 0"),
    ],
)
def test_statistics_that_are_none_are_refused(statistics, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance_from_statistics(*statistics)
