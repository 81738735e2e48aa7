"""Labels that cannot be learnt are refused, with what was received and what to do."""

import numpy as np
import pytest

from keras_transgen.transfer.training_data import (
    check_class_labels,
    check_multi_labels,
    check_sample_weight,
    check_targets,
)


@pytest.mark.parametrize(
    "labels",
    [
        np.array([0, 2, 1]),
        np.array([[0], [2]]),
        np.eye(3)[[0, 2]],
        np.array([[0.2, 0.5, 0.3], [1.0, 0.0, 0.0]]),
        [0, 1],
        np.array([True, False]),
    ],
)
def test_takes_classes(labels):
    check_class_labels(labels, 3)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "Training needs y.*Received: y=None"),
        ({"a": [0]}, "one array"),
        (np.array(["ant", "bee"]), "np.unique.*dtype <U3"),
        (np.array([], "int64"), r"at least one example.*\(0,\)"),
        (np.array([0.0, 1.0]), r"whole numbers: y.astype\('int64'\)"),
        (np.array([0.5, 1.25]), "task='regression'.*0.5, 1.25"),
        (np.array([0.0, np.nan]), "must be finite.*1 NaN"),
        (np.array([0, 3]), "num_classes=4.*from 0 to 3 for num_classes=3"),
        (np.array([1, 2, 3]), "start at 1: subtract 1"),
        (np.array([-1, 2]), "Number the classes from 0.*from -1 to 2"),
        (np.array([[0, 1], [1, 0]]), r"shape \(2, 2\) for 3 classes"),
        (np.zeros((2, 3, 1), "int64"), r"shape \(2, 3, 1\)"),
        (np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]]), "multi_label.*between 1 and 2"),
        (np.array([[1.5, -0.5, 0.0], [0.0, 1.0, 0.0]]), "not be negative"),
        (np.array([1, 1, 1]), "3 examples, all of class 1"),
        (np.eye(3)[[2, 2]], "all of class 2"),
    ],
)
def test_refuses_what_are_no_classes(labels, message):
    with pytest.raises(ValueError, match=message):
        check_class_labels(labels, 3)


def test_one_batch_may_be_of_one_class():
    check_class_labels(np.array([1, 1]), 3, whole=False)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 1]), r"task='classification'.*shape \(2,\)"),
        (np.zeros((2, 4)), r"\[count, 3\]"),
        (np.full((2, 3), 2), r"values in \[2, 2\]"),
        (np.full((2, 3), np.inf), "must be finite"),
    ],
)
def test_refuses_what_are_no_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        check_multi_labels(labels, 3)
    check_multi_labels(np.array([[0, 1, 1], [0, 0, 0]]), 3)


@pytest.mark.parametrize(
    ("targets", "message"),
    [(np.zeros((3, 2)), r"\[count, 1\]"), (np.array([1.0, np.nan]), "must be finite")],
)
def test_refuses_what_are_no_targets(targets, message):
    with pytest.raises(ValueError, match=message):
        check_targets(targets, 1)
    check_targets(np.array([1.5, 2.5]), 1)
    check_targets(np.zeros((3, 2)), 2)


@pytest.mark.parametrize("weights", [np.array([1.0, -1.0]), np.zeros(2), np.array([1.0, np.nan])])
def test_refuses_weights_that_weigh_nothing(weights):
    with pytest.raises(ValueError, match="Received"):
        check_sample_weight(weights)
    check_sample_weight(None)
    check_sample_weight(np.array([0.0, 1.0]))
