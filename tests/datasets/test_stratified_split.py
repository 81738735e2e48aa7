import numpy as np
import pytest

from keras_transgen.datasets import stratified_split


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
