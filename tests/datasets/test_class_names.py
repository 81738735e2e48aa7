"""Names of classes and their numbers, against scikit-learn's LabelEncoder and pandas' codes."""

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import LabelEncoder

from keras_transgen.datasets.class_names import (
    are_names,
    checked_class_names,
    names_in,
    numbers_of,
    sorted_names,
)

WORDS = np.array(["spam", "ham", "eggs", "ham", "spam"])


@pytest.mark.parametrize("labels", [WORDS, WORDS.astype(object), WORDS.astype("S"), list(WORDS)])
def test_numbers_are_those_of_scikit_learn(labels):
    encoder = LabelEncoder().fit(WORDS)
    assert list(names_in(labels)) == encoder.classes_.tolist()
    np.testing.assert_array_equal(numbers_of(labels, names_in(labels)), encoder.transform(WORDS))


def test_categories_keep_their_order_and_unused_ones_are_no_classes():
    labels = pd.Series(pd.Categorical(WORDS, categories=["spam", "bacon", "ham", "eggs"]))
    assert names_in(labels) == ("spam", "ham", "eggs")
    codes = labels.cat.remove_unused_categories().cat.codes
    np.testing.assert_array_equal(numbers_of(labels, names_in(labels)), codes)


def test_names_that_are_numbers_are_in_the_order_of_numbers():
    assert sorted_names(["10", "9", "-1", "2"]) == ("-1", "2", "9", "10")
    assert sorted_names(["10", "9", "b"]) == ("10", "9", "b")


def test_labels_of_any_shape():
    found = numbers_of(np.array([["b", "a"], ["a", "a"]]), ("a", "b"))
    np.testing.assert_array_equal(found, [[1, 0], [0, 0]])


def test_which_labels_are_names():
    for labels in (WORDS, pd.Series(WORDS), pd.Categorical(WORDS), WORDS.astype(object)):
        assert are_names(labels)
    for labels in (np.arange(3), pd.Series([1, 2]), pd.Categorical([1, 2]), None, object()):
        assert not are_names(labels)


def test_unknown_names_are_named_without_acting_on_a_terminal():
    with pytest.raises(ValueError, match=r"'ham', 'spam'. Received: 2 other") as told:
        numbers_of(["ham", "a\x1b[2J", "b"], ("ham", "spam"))
    assert "\x1b" not in str(told.value)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("ham", "must be a list of names"),
        ([1, 2], "must be a list of names"),
        (7, "must be a list of names"),
        (["ham"], "1 names"),
        (["ham", "spam", "ham"], "'ham' twice"),
        (["ham", ""], "an empty name"),
    ],
)
def test_what_are_no_names_of_classes(names, message):
    with pytest.raises(ValueError, match=message):
        checked_class_names(names)
    assert checked_class_names(np.array(["a", "b"])) == ("a", "b")
