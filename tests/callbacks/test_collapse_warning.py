"""Diversity against the distances of all pairs, and a generator that collapses."""

import warnings

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from keras_transgen.callbacks.collapse_warning import CollapseWarning, diversity
from tests.callbacks.samplers import REAL, Sampler, images


def test_diversity_is_the_root_mean_squared_distance_of_all_pairs():
    points = np.random.default_rng(0).normal(size=(20, 3))
    expected = np.sqrt(np.mean(pdist(points) ** 2))
    assert diversity(points) == pytest.approx(expected)


def test_within_groups():
    points = np.array([[0.0], [2.0], [100.0], [104.0], [7.0]])
    # Squared distances 4 and 16, each group of two; the lonely one does not count.
    assert diversity(points, [0, 0, 1, 1, 2]) == pytest.approx(np.sqrt(10.0))
    with pytest.raises(ValueError, match="two examples"):
        diversity(points, [0, 1, 2, 3, 4])


def test_equal_diversity_gives_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        logs = Sampler(images).run([CollapseWarning(REAL)])
    assert logs["diversity_ratio"][0] == pytest.approx(1.0, abs=0.05)


def test_a_collapsed_generator_is_warned_about():
    def one_image(count, rng):
        return np.repeat(images(1, rng), count, axis=0)

    with pytest.warns(UserWarning, match="epoch 1 differ.*0.00 times"):
        logs = Sampler(one_image).run([CollapseWarning(REAL, every=3)], epochs=2)
    assert logs["diversity_ratio"] == [0.0, 0.0]


def test_a_collapse_within_classes_is_found():
    """Two images, one a class: together as diverse as data, within a class not at all."""
    labels = np.arange(40) % 2

    def one_image_a_class(count, rng):
        return np.where(labels, 1.0, 0.0)[:, None, None, None] * np.ones((1, 8, 8, 1))

    with pytest.warns(UserWarning, match="collapsed"):
        Sampler(one_image_a_class).run([CollapseWarning(REAL, labels)])


def test_bytes_are_compared_in_the_models_range():
    data = (REAL * 255).round().astype("uint8")
    logs = Sampler(images).run([CollapseWarning(data)])
    assert logs["diversity_ratio"][0] == pytest.approx(1.0, abs=0.05)


def test_wrong_settings():
    with pytest.raises(ValueError, match=r"threshold=1\.0"):
        CollapseWarning(REAL, threshold=1.0)
    with pytest.raises(ValueError, match="40 examples, 3 conditions"):
        CollapseWarning(REAL, np.zeros(3, int))
    with pytest.raises(ValueError, match="all equal"):
        Sampler(images).run([CollapseWarning(np.zeros((4, 8, 8, 1)))])
