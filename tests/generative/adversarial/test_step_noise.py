"""The random numbers of an adversarial step: their laws and shapes, and none of them twice."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from keras_transgen.generative.adversarial.augmentation import NUMBERS_PER_IMAGE
from keras_transgen.generative.adversarial.step_noise import draw_phases

SEED = tf.constant([3, 4])
EVERYTHING = {
    "noisy_shape": (2, 3),
    "augmented": True,
    "positions": True,
    "drop_probability": 0.3,
}


def drawn(count=2, size=500, seed=SEED, **kwargs):
    return draw_phases(count, tf.constant(size), seed, 5, **kwargs)


def test_only_what_is_asked_for_is_drawn():
    (phase,) = drawn(1)
    assert set(phase) == {"latent", "real", "fake"}
    assert phase["real"] == phase["fake"] == {}
    (phase,) = drawn(1, **EVERYTHING)
    assert {key: value.shape.as_list() for key, value in phase["real"].items()} == {
        "uniform": [500, NUMBERS_PER_IMAGE],
        "normal": [500, 2, 3],
    }
    assert phase["position"].shape == phase["dropped"].shape == (500,)


def test_the_numbers_follow_their_laws():
    """Kolmogorov and Smirnov's test at one in ten thousand; the binomial's four standard errors."""
    for phase in drawn(**EVERYTHING):
        assert stats.kstest(phase["latent"].numpy().ravel(), "norm").pvalue > 1e-4
        for side in ("real", "fake"):
            assert stats.kstest(phase[side]["normal"].numpy().ravel(), "norm").pvalue > 1e-4
            assert stats.kstest(phase[side]["uniform"].numpy().ravel(), "uniform").pvalue > 1e-4
        assert stats.kstest(phase["position"].numpy(), "uniform").pvalue > 1e-4
        share = phase["dropped"].numpy().mean()
        assert share == pytest.approx(0.3, abs=4 * np.sqrt(0.3 * 0.7 / 500))


def test_no_two_sets_of_numbers_are_the_same_or_correlated():
    leaves = [
        value.numpy().astype("float64").reshape(500, -1)[:, 0]
        for value in keras.tree.flatten(drawn(**EVERYTHING))
    ]
    correlations = np.corrcoef(leaves) - np.eye(len(leaves))
    # Of 66 pairs with a standard error of 1 / sqrt(500) each.
    assert np.abs(correlations).max() < 4.5 / np.sqrt(500)


def test_a_seed_gives_its_numbers_again_and_another_gives_others():
    first, again, other = (
        drawn(1, seed=seed)[0]["latent"] for seed in (SEED, SEED, tf.constant([3, 5]))
    )
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_no_examples_no_numbers():
    for leaf in keras.tree.flatten(drawn(size=0, **EVERYTHING)):
        assert leaf.shape[0] == 0
