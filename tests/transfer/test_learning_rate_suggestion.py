"""What range tests suggest, on curves whose steepest place is known."""

import numpy as np
import pytest

from keras_transgen.transfer.learning_rate_suggestion import smooth, suggest_rate

RATES = 1e-7 * 1e7 ** (np.arange(60) / 59)
LOG = np.log10(RATES)


def falling(centre, depth=1.5):
    """A logistic fall, steepest at its centre (log10 of the rate), and an explosion at the end."""
    fall = 2.3 - depth / (1 + np.exp(-4 * (LOG - centre)))
    return fall + np.where(LOG > -0.6, (LOG + 0.6) * 10, 0.0)


def normal(scale, seed):
    return np.random.default_rng(seed).normal(0.0, scale, len(RATES))


@pytest.mark.parametrize("centre", [-5.0, -4.0, -3.0, -2.0])
def test_finds_the_steepest_place(centre):
    # Within one step of the curve, which are 0.12 apart.
    assert np.log10(suggest_rate(RATES, falling(centre))) == pytest.approx(centre, abs=0.12)
    noisy = [suggest_rate(RATES, falling(centre) + normal(0.1, seed)) for seed in range(20)]
    assert np.mean(np.log10(noisy)) == pytest.approx(centre, abs=0.12)
    assert np.max(np.abs(np.log10(noisy) - centre)) < 0.6


def test_a_fall_at_the_ends_is_left_out():
    # What the first tenth and the last five show is steeper than the fall between them.
    losses = falling(-3.0)
    losses[:6] += np.linspace(6.0, 1.0, 6)
    losses[-5:] = [9.0, 9.0, 9.0, 0.1, -20.0]
    assert np.log10(suggest_rate(RATES, losses)) == pytest.approx(-3.0, abs=0.12)


@pytest.mark.parametrize("scale", [0.0, 1e-3, 0.1, 0.5])
def test_a_flat_curve_suggests_nothing(scale):
    found = [suggest_rate(RATES, 2.3 + normal(scale, seed)) for seed in range(50)]
    assert found == [None] * 50


def test_a_curve_that_only_rises_suggests_nothing():
    assert suggest_rate(RATES, np.geomspace(0.5, 2.0, 60)) is None


def test_a_fall_of_half_a_per_cent_is_none():
    assert suggest_rate(RATES, falling(-3.0, depth=0.0115)) is None
    assert suggest_rate(RATES, falling(-3.0, depth=0.115)) is not None


def test_few_steps_suggest_nothing():
    assert suggest_rate(RATES[::5], falling(-4.0)[::5]) is None


def test_smoothing_does_not_lag():
    # A line comes out as it is, and a fall stays where it is.
    np.testing.assert_allclose(smooth(3.0 - 0.1 * LOG), 3.0 - 0.1 * LOG)
    slopes = np.diff(smooth(falling(-3.0))[:50])
    assert LOG[int(np.argmin(slopes))] == pytest.approx(-3.0, abs=0.2)
    # A mean of 11 has an eleventh of the variance.
    left = np.mean([smooth(normal(1.0, seed))[5:-5] ** 2 for seed in range(50)])
    assert left == pytest.approx(1 / 11, rel=0.15)
