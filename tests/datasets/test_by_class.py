import numpy as np
import pytest

from keras_transgen.datasets import sample_per_class, stratified_split

LABELS = np.array([2, 0, 0, 5, 2, 2, 0, 5, 5, 2])


def test_every_class_is_drawn_k_times_without_repetition():
    drawn = sample_per_class(LABELS, k=3, seed=1)

    assert len(set(drawn)) == 9
    names, counts = np.unique(LABELS[drawn], return_counts=True)
    assert names.tolist() == [0, 2, 5]
    assert counts.tolist() == [3, 3, 3]


def test_smaller_draws_are_part_of_larger_ones_and_seeds_differ():
    labels = np.repeat(np.arange(4), 50)
    small, large = (sample_per_class(labels, k, seed=3) for k in (5, 20))

    assert set(small) < set(large)
    np.testing.assert_array_equal(small, sample_per_class(labels, 5, seed=3))
    assert not np.array_equal(small, sample_per_class(labels, 5, seed=4))


def test_draws_are_uniform_over_a_class():
    labels = np.repeat([0, 1], 4)
    counts = np.zeros(8)
    for seed in range(2000):
        counts[sample_per_class(labels, 1, seed)] += 1
    # Binomial(2000, 1/4): standard deviation 19.4; five of them.
    assert np.abs(counts - 500).max() < 97


def test_a_class_with_fewer_examples_is_named():
    with pytest.raises(ValueError, match=r"k=4 .* Received: 3 example\(s\) of class 0"):
        sample_per_class(LABELS, k=4)


@pytest.mark.parametrize(("labels", "k"), [(LABELS, 0), (np.zeros((4, 2)), 1), ([], 1)])
def test_wrong_arguments_are_refused(labels, k):
    with pytest.raises(ValueError, match="Received"):
        sample_per_class(labels, k)


def test_parts_are_disjoint_complete_and_hold_each_class_share():
    labels = np.array(["a"] * 20 + ["b"] * 10)
    train, test = stratified_split(labels, test_fraction=0.3, seed=4)

    assert sorted([*train, *test]) == list(range(30))
    assert (labels[test] == "a").sum() == 6
    assert (labels[test] == "b").sum() == 3
    assert list(test) == sorted(test)


def test_a_class_too_small_for_both_parts_is_named():
    with pytest.raises(ValueError, match=r"1 example\(s\) of class 7"):
        stratified_split(np.array([3, 3, 3, 3, 3, 7]), test_fraction=0.2)


def test_labels_of_wrong_rank_are_refused():
    with pytest.raises(ValueError, match=r"labels.shape=\(3, 1\)"):
        stratified_split(np.zeros((3, 1)))
