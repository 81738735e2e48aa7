import numpy as np
import pytest

from keras_transgen.plotting import plot_learning_rate_finder
from tests.plotting.figure_checks import assert_readable

RATES = np.logspace(-6, 0, 50)
LOSSES = 2 - 1 / (1 + (1e-3 / RATES)) + np.where(RATES > 0.05, 1e6 * RATES, 0)


def test_losses_smoothed_losses_and_suggestion_are_drawn():
    figure = plot_learning_rate_finder(RATES, LOSSES, smoothed=LOSSES * 0.9, suggestion=1.3e-3)
    axes = figure.axes[0]
    plain, smooth, mark = axes.get_lines()
    np.testing.assert_array_equal(plain.get_xydata(), np.stack([RATES, LOSSES], 1))
    np.testing.assert_array_equal(smooth.get_ydata(), LOSSES * 0.9)
    assert set(mark.get_xdata()) == {1.3e-3}
    assert mark.get_label() == "suggested: 0.0013"
    assert axes.get_xscale() == "log"
    assert_readable(figure)


def test_divergence_does_not_flatten_the_curve():
    losses = LOSSES.copy()
    losses[-2:] = [np.inf, np.nan]
    low, high = plot_learning_rate_finder(RATES, losses).axes[0].get_ylim()
    assert low < 1.02
    assert 2.0 < high < 3.0


def test_a_flat_curve_has_an_axis():
    low, high = plot_learning_rate_finder([1e-3, 1e-2], [0.5, 0.5]).axes[0].get_ylim()
    assert low < 0.5 < high


@pytest.mark.parametrize(
    ("rates", "losses", "options"),
    [
        ([], [], {}),
        ([1e-3], [1.0, 2.0], {}),
        ([0.0, 1.0], [1.0, 2.0], {}),
        ([1e-3], [np.nan], {}),
        ([1e-3], [1.0], {"smoothed": [1.0, 2.0]}),
    ],
)
def test_wrong_input_is_refused(rates, losses, options):
    with pytest.raises(ValueError, match="Received"):
        plot_learning_rate_finder(rates, losses, **options)
