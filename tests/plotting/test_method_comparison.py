import numpy as np
import pytest

from keras_transgen.plotting import plot_method_comparison
from tests.plotting.figure_checks import assert_readable

SCORES = {"feature": [0.93, 0.95, 0.94], "from scratch": [0.7, 0.8, 0.6]}


def test_bars_are_means_with_standard_deviations_and_seeds():
    figure = plot_method_comparison(SCORES, details={"feature": "650 parameters"}, title="Digits")
    axes = figure.axes[0]
    bars = axes.patches
    for place, (bar, values) in enumerate(zip(bars, SCORES.values())):
        assert bar.get_width() == pytest.approx(np.mean(values))
        assert bar.get_y() + bar.get_height() / 2 == pytest.approx(place)
        error = axes.collections[place].get_segments()[0]
        spread = np.std(values, ddof=1)
        np.testing.assert_allclose(
            error[:, 0], [np.mean(values) - spread, np.mean(values) + spread]
        )
    dots = [line.get_xdata().tolist() for line in axes.get_lines() if len(line.get_xdata()) == 3]
    assert dots == list(SCORES.values())
    assert [text.get_text() for text in axes.texts] == ["0.940 ± 0.010", "0.700 ± 0.100"]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["feature\n650 parameters", "from scratch"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "the first method is on top"
    assert axes.get_xlim() == (0.0, 1.0)
    assert_readable(figure)


def test_one_seed_has_no_spread():
    figure = plot_method_comparison({"a": [0.5], "b": [3.0]}, limit=None, score_name="seconds (s)")
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["0.500", "3.000"]
    assert axes.get_xlabel() == "seconds (s)"
    assert axes.get_xlim()[1] >= 3.0
    assert_readable(figure)


@pytest.mark.parametrize(
    ("scores", "options"),
    [
        ({}, {}),
        ({"a": []}, {}),
        ({"a": [np.nan]}, {}),
        (SCORES, {"details": {"other": "x"}}),
    ],
)
def test_wrong_input_is_refused(scores, options):
    with pytest.raises(ValueError, match="Received"):
        plot_method_comparison(scores, **options)
