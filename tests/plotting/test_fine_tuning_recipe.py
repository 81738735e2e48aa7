"""The picture of a recipe shows the numbers that it was given."""

import numpy as np
import pytest

from keras_transgen.plotting import plot_fine_tuning_recipe

TRIALS = {1e-3: ([0.5, 0.4, 0.3], [0.0, 0.05, 0.1]), 3e-3: ([0.5, 0.45, 0.6], [0.0, 0.1, 0.2])}


def made(**options):
    arguments = {
        "rates": [1e-4, 1e-3, 1e-2],
        "short_losses": [0.5, 0.4, np.nan],
        "shares": [0.0, 0.5, 1.0],
        "trials": TRIALS,
        "probe_loss": 0.5,
        "chosen": (1e-3, 1.0),
    }
    return plot_fine_tuning_recipe(**{**arguments, **options})


def test_values_are_those_given():
    left, right = made().axes
    short, probe = left.lines
    np.testing.assert_allclose(short.get_xydata(), [[1e-4, 0.5], [1e-3, 0.4]])
    assert set(probe.get_ydata()) == {0.5}
    for container, (values, errors) in zip(right.containers, TRIALS.values()):
        np.testing.assert_allclose(np.asarray(container.lines[0].get_ydata(), float), values)
        ends = [segment[:, 1] for segment in container.lines[2][0].get_segments()]
        np.testing.assert_allclose(ends, np.add.outer(values, [0, 0]) + np.outer(errors, [-1, 1]))
    marked = right.lines[-1]
    assert (marked.get_xdata()[0], marked.get_ydata()[0]) == (1.0, 0.3)


@pytest.mark.parametrize("wrong", [{"rates": [1e-3]}, {"shares": [0.0, 1.0]}, {"trials": {}}])
def test_lengths_that_differ(wrong):
    with pytest.raises(ValueError, match="Expected a loss for each rate"):
        made(**wrong)
