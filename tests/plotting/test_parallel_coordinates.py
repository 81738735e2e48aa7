import numpy as np
import pytest

from keras_transgen.plotting import plot_parallel_coordinates
from tests.plotting.figure_checks import assert_readable

TRIALS = [
    {"kind": "feature", "rate": 1e-4, "seed": 1},
    {"kind": "structure", "rate": 1e-2, "rank": 4, "seed": 1},
    {"kind": "structure", "rate": 1e-3, "rank": 16, "seed": 1},
]
SCORES = [0.7, 0.9, 0.8]


def lines(figure) -> list[list[float]]:
    """Heights of the trials' lines; the axes have two points each, at one place."""
    found = [line.get_xydata() for line in figure.axes[0].get_lines()]
    return [line[:, 1].tolist() for line in found if len(set(line[:, 0])) > 1]


def shown(figure) -> list[str]:
    names = figure.axes[0].get_xticklabels()
    return [name.get_text().replace("\n", " ") for name in names]


def test_lines_pass_where_the_values_lie_and_the_best_is_last():
    figure = plot_parallel_coordinates(TRIALS, SCORES, score_name="accuracy")
    # "seed" is the same in all trials and says nothing.
    assert shown(figure) == ["kind", "rate", "rank", "accuracy"]
    feature, middle, best = lines(figure)
    # Rates over two orders of magnitude: by the logarithm 1e-3 is half-way.
    np.testing.assert_allclose(feature, [0.0, 0.0, feature[2], 0.0], atol=1e-9)
    assert feature[2] < 0, "what a trial does not have is below the axis"
    np.testing.assert_allclose(middle, [1.0, 0.5, 1.0, 0.5], atol=1e-9)
    np.testing.assert_allclose(best, [1.0, 1.0, 0.0, 1.0], atol=1e-9)
    assert_readable(figure)


def test_the_lowest_score_is_the_best_where_it_is_asked_for():
    figure = plot_parallel_coordinates(TRIALS, SCORES, maximize=False)
    bold = max(figure.axes[0].get_lines(), key=lambda line: line.get_linewidth())
    assert bold.get_label() == "best"
    assert bold.get_ydata()[-1] == 0.0


def test_many_values_have_few_ticks_and_words_are_cut():
    trials = [{"units": n, "name": f"a name far too long {n % 2}"} for n in range(10, 39)]
    figure = plot_parallel_coordinates(trials, list(range(29)), title="many")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts[:5] == ["10", "17", "24", "31", "38"]
    assert_readable(figure)


def test_names_choose_the_axes():
    figure = plot_parallel_coordinates(TRIALS, SCORES, names=["rank"])
    assert shown(figure) == ["rank", "score"]


@pytest.mark.parametrize(
    ("trials", "scores", "options"),
    [
        ([], [], {}),
        (TRIALS, [1.0], {}),
        (TRIALS, [1.0, 2.0, float("nan")], {}),
        (TRIALS, SCORES, {"names": ["depth"]}),
    ],
)
def test_wrong_input_is_refused(trials, scores, options):
    with pytest.raises(ValueError, match="Received"):
        plot_parallel_coordinates(trials, scores, **options)
