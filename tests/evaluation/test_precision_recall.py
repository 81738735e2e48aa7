import numpy as np
import pytest
from scipy.stats import ortho_group
from sklearn.neighbors import NearestNeighbors

from keras_transgen.evaluation import density_coverage, precision_recall


def radii(points, k):
    """Distance to the k-th nearest other point, by scikit-learn."""
    distances, _ = NearestNeighbors(algorithm="brute").fit(points).kneighbors(n_neighbors=k)
    return distances[:, -1]


def inside(points, centres, k):
    """[point, centre]: whether a point is in a centre's ball, in plain loops."""
    reach = radii(centres, k)
    return np.array([[np.linalg.norm(p - c) <= r for c, r in zip(centres, reach)] for p in points])


@pytest.mark.parametrize(("k", "block_size"), [(1, 1024), (3, 7), (5, 1)])
def test_agreement_with_scikit_learns_neighbours(k, block_size):
    random = np.random.default_rng(k)
    real = random.normal(size=(60, 3))
    generated = random.normal(1.0, 0.5, size=(45, 3))
    in_real, in_generated = inside(generated, real, k), inside(real, generated, k)
    expected = in_real.any(axis=1).mean(), in_generated.any(axis=1).mean()
    assert 0 < expected[1] < expected[0]

    assert precision_recall(real, generated, k, block_size=block_size) == pytest.approx(expected)
    density, coverage = density_coverage(real, generated, k, block_size=block_size)
    assert density == pytest.approx(in_real.sum() / (k * 45))
    assert coverage == pytest.approx(in_real.any(axis=0).mean())


def test_a_collapsed_generator_has_high_precision_and_low_recall():
    random = np.random.default_rng(0)
    real = random.normal(size=(400, 4))
    modes = real[:4]
    collapsed = modes[random.integers(0, 4, 400)] + random.normal(0, 0.01, (400, 4))
    precision, recall = precision_recall(real, collapsed)
    assert precision > 0.95
    assert recall < 0.05
    density, coverage = density_coverage(real, collapsed)
    assert density > 0.5
    assert coverage < 0.15


def test_exact_copies_of_few_images_are_precise_and_recall_only_those():
    real = np.random.default_rng(0).normal(size=(300, 50)) + 1000.0
    copies = np.repeat(real[:3], 100, axis=0)
    assert precision_recall(real, copies, k=3) == (1.0, 3 / 300)


def test_rounding_does_not_part_copies():
    """Two copies of a point have a ball of radius 0, in which only the point itself lies."""
    real = np.random.default_rng(0).normal(size=(300, 700))
    # Another memory order, in which sums round otherwise.
    copies = np.asfortranarray(np.repeat(real[:100], 2, axis=0))
    for block_size in (1, 33, 1024):
        assert precision_recall(real, copies, k=1, block_size=block_size) == (1.0, 100 / 300)


def test_noise_around_everything_has_high_recall_and_low_precision():
    random = np.random.default_rng(0)
    precision, recall = precision_recall(
        random.normal(size=(400, 4)), random.uniform(-12, 12, size=(400, 4))
    )
    assert precision < 0.15
    assert recall > 0.8


def test_equal_distributions_have_the_expected_density_and_coverage():
    """E[density] = 1 and E[coverage] = 1 - 2^-k for equal counts (Naeem et al., 2020)."""
    random = np.random.default_rng(0)
    results = np.array([density_coverage(*random.normal(size=(2, 300, 5)), k=2) for _ in range(20)])
    errors = results.std(axis=0) / np.sqrt(20)
    # Lemma 2 for counts N = M: 1 - prod_{i=1..k} (N - i) / (2 N - i).
    expected_coverage = 1 - (299 / 599) * (298 / 598)
    assert abs(results[:, 0].mean() - 1.0) < 4 * errors[0]
    assert abs(results[:, 1].mean() - expected_coverage) < 4 * errors[1]


def test_a_set_against_itself():
    points = np.random.default_rng(0).normal(size=(64, 6))
    assert precision_recall(points, points) == (1.0, 1.0)
    # Each ball holds its centre and, on its edge or within, k others.
    density, coverage = density_coverage(points, points, k=5)
    assert density == pytest.approx(6 / 5)
    assert coverage == 1.0


def test_far_sets_share_nothing():
    points = np.random.default_rng(0).normal(size=(30, 2))
    assert precision_recall(points, points + 100) == (0.0, 0.0)
    assert density_coverage(points, points + 100) == (0.0, 0.0)


def test_results_do_not_change_under_rotation_shift_scale_order_or_sign():
    random = np.random.default_rng(5)
    real, generated = random.normal(size=(80, 4)), random.normal(0.5, 0.8, size=(90, 4))
    rotation = ortho_group.rvs(4, random_state=1)
    for metric in (precision_recall, density_coverage):
        expected = metric(real, generated)
        for change in (
            lambda x: x @ rotation,
            lambda x: -x,
            lambda x: 1e4 * x,
            lambda x: x + 1e3,
            lambda x: x[::-1],
        ):
            assert metric(change(real), change(generated)) == pytest.approx(expected)
    precision, recall = precision_recall(real, generated)
    assert precision_recall(generated, real) == (recall, precision)


def test_names_of_the_results():
    points = np.random.default_rng(0).normal(size=(30, 2))
    assert precision_recall(points, points)._fields == ("precision", "recall")
    assert density_coverage(points, points)._fields == ("density", "coverage")


@pytest.mark.parametrize("metric", [precision_recall, density_coverage])
def test_wrong_input_is_refused(metric):
    good = np.random.default_rng(0).normal(size=(10, 3))
    with pytest.raises(ValueError, match=r"at least 11 rows in real.*k=10.*Received: 10"):
        metric(good, good, k=10)
    with pytest.raises(ValueError, match="k=0"):
        metric(good, good, k=0)
    with pytest.raises(ValueError, match="same number of features"):
        metric(good, good[:, :2])
    with pytest.raises(ValueError, match=r"generated\.shape=\(10, 3, 1\)"):
        metric(good, good[..., None])
    broken = good.copy()
    broken[4] = np.nan
    with pytest.raises(ValueError, match=r"in generated;.*first is row 4"):
        metric(good, broken)


def test_few_generated_rows_are_enough_for_density_and_not_for_recall():
    good = np.random.default_rng(0).normal(size=(10, 3))
    assert density_coverage(good, good[:1]).coverage > 0
    with pytest.raises(ValueError, match="at least 6 rows in generated"):
        precision_recall(good, good[:5])
    with pytest.raises(ValueError, match="nothing to judge"):
        density_coverage(good, good[:0])
