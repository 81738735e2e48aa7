import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from keras_transgen.plotting import plot_confusion_matrix
from tests.plotting.figure_checks import assert_readable


def cells(axes):
    return {
        (int(text.get_position()[1]), int(text.get_position()[0])): int(text.get_text())
        for text in axes.texts
    }


def test_counts_and_shares_are_scikit_learns():
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 100)
    scores = np.eye(4)[labels] + random.normal(0, 0.8, (100, 4))
    figure = plot_confusion_matrix(labels, scores)
    axes = figure.axes[0]
    expected = confusion_matrix(labels, scores.argmax(axis=1))
    shares = confusion_matrix(labels, scores.argmax(axis=1), normalize="true")
    assert cells(axes) == {place: n for place, n in np.ndenumerate(expected) if n}
    np.testing.assert_allclose(np.array(axes.images[0].get_array()), shares)
    accuracy = np.trace(expected) / 100
    assert axes.get_title(loc="left") == f"accuracy {accuracy:.3f} of 100 examples"
    assert_readable(figure)


def test_rows_are_true_and_columns_predicted_and_names_are_shown():
    figure = plot_confusion_matrix([0, 0, 1], [1, 1, 1], ["ants", "bees", "wasps"])
    axes = figure.axes[0]
    assert cells(axes) == {(0, 1): 2, (1, 1): 1}
    assert axes.images[0].get_array().shape == (3, 3)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ants", "bees", "wasps"]
    assert axes.get_ylabel() == "true class"


@pytest.mark.parametrize(("classes", "letters"), [(2, 4), (5, 10), (10, 1), (20, 12), (40, 12)])
def test_names_never_run_over_each_other(classes, letters):
    labels = np.arange(classes).repeat(30)
    names = [f"{i:x<{letters}}" for i in range(classes)]
    assert_readable(plot_confusion_matrix(labels, labels, names))


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match=r"predictions\.shape=\(2,\)"):
        plot_confusion_matrix([0, 1, 1], [0, 1])
    with pytest.raises(ValueError, match="at least one"):
        plot_confusion_matrix([], [])
    with pytest.raises(ValueError, match="2 names and class 2"):
        plot_confusion_matrix([0, 2], [0, 1], ["a", "b"])
    with pytest.raises(ValueError, match="-1 as the smallest"):
        plot_confusion_matrix([0, -1], [0, 1])
