import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from keras_transgen.sequences.wavenet.clip_lengths import ClipLengths


def counted(seconds, groups, parts=3):
    layer = ClipLengths(3)
    for rows in np.array_split(np.arange(len(seconds)), parts):
        layer.count(tf.constant(groups[rows]), tf.constant(seconds[rows], tf.float32))
    return layer


def test_moments_are_those_of_the_logarithms():
    draws = np.random.default_rng(0)
    groups = np.repeat([0, 1], 500)
    logs = draws.normal(np.array([-1.0, 0.5])[groups], np.array([0.2, 0.1])[groups])
    mean, deviation = counted(np.exp(logs), groups).moments()
    for group in (0, 1):
        own = logs[groups == group]
        # One clip's share of all others is added to each group's.
        assert mean[group] == pytest.approx((own.sum() + logs.mean()) / 501, abs=1e-4)
        assert deviation[group] == pytest.approx(own.std(), abs=0.03)
    # A group without clips has what all have.
    assert mean[2] == pytest.approx(logs.mean(), abs=1e-4)
    assert deviation[2] == pytest.approx(logs.std(), abs=1e-3)


def test_draws_are_normal_within_two_deviations():
    layer = counted(np.exp(np.random.default_rng(0).normal(-1.0, 0.3, 400)), np.zeros(400, int))
    mean, deviation = (each[0] for each in layer.moments())
    uniform = (np.arange(1000) + 0.5) / 1000
    logs = np.log(layer.draw(np.zeros(1000, int), uniform))
    expected = scipy.stats.truncnorm(-2, 2, mean, deviation).ppf(uniform)
    np.testing.assert_allclose(logs, expected, rtol=1e-5)


def test_clips_of_one_length_vary_a_little():
    layer = counted(np.full(10, 0.5), np.zeros(10, int))
    assert layer.has_counted
    assert layer.moments()[1][0] == pytest.approx(0.01)
    assert not ClipLengths(2).has_counted
