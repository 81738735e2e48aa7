import numpy as np
import pytest
from scipy import stats

from keras_transgen.plotting import plot_few_shot_chart
from tests.plotting.figure_checks import assert_readable

ACCURACIES = {
    "feature": {1: [0.5, 0.6, 0.55], 5: [0.8, 0.82, 0.9]},
    "scratch": {5: [0.5, 0.4, 0.45], 1: [0.2, 0.3, 0.2]},
}


@pytest.mark.parametrize("confidence", [0.95, 0.5])
def test_means_and_intervals_are_students(confidence):
    figure = plot_few_shot_chart(ACCURACIES, confidence=confidence)
    for container, by_count in zip(figure.axes[0].containers, ACCURACIES.values()):
        line, _, (bars,) = container
        for point, bar, k in zip(line.get_xydata(), bars.get_segments(), (1, 5)):
            values = by_count[k]
            assert point[0] == pytest.approx(k, rel=0.03)
            assert point[1] == pytest.approx(np.mean(values))
            expected = stats.t.interval(
                confidence, len(values) - 1, np.mean(values), stats.sem(values)
            )
            np.testing.assert_allclose(bar[:, 1], expected)
    assert f"{confidence:.0%}" in figure.axes[0].get_ylabel()
    assert_readable(figure)


def test_ticks_are_the_counts_and_guessing_is_a_line():
    figure = plot_few_shot_chart(ACCURACIES, chance=0.1)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "5"]
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert set(names) == {"feature", "scratch", "guessing"}
    guessing = next(line for line in axes.get_lines() if line.get_label() == "guessing")
    assert set(guessing.get_ydata()) == {0.1}


def test_one_seed_has_no_interval():
    figure = plot_few_shot_chart({"feature": {1: [0.5], 2: [0.75]}})
    line, _, (bars,) = figure.axes[0].containers[0]
    assert line.get_ydata().tolist() == [0.5, 0.75]
    for segment, value in zip(bars.get_segments(), [0.5, 0.75]):
        np.testing.assert_allclose(segment[:, 1], value)
    assert figure.axes[0].get_ylabel() == "accuracy"


@pytest.mark.parametrize(
    ("accuracies", "options"),
    [({}, {}), ({"a": {}}, {}), ({"a": {1: []}}, {}), (ACCURACIES, {"confidence": 95})],
)
def test_wrong_input_is_refused(accuracies, options):
    with pytest.raises(ValueError, match="Received"):
        plot_few_shot_chart(accuracies, **options)
