"""Gram matrices, relative distances and their sum against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.generative.translation.style_losses import (
    StyleWeights,
    checked_weights,
    gram_matrix,
    normalized_distance,
    style_objective,
)
from tests.generative.translation.style_models import distance_in_numpy

RNG = np.random.default_rng(0)


def test_gram_matrix_against_numpy():
    features = RNG.normal(size=(2, 3, 5, 4)).astype("float32")
    expected = np.einsum("bhwc,bhwd->bcd", features, features) / (3 * 5 * 4)
    np.testing.assert_allclose(gram_matrix(features), expected, rtol=1e-5, atol=1e-6)


def test_gram_matrix_does_not_know_where_things_are():
    features = RNG.normal(size=(1, 4, 4, 3)).astype("float32")
    places = RNG.permutation(16)
    shuffled = features.reshape(1, 16, 3)[:, places].reshape(1, 4, 4, 3)
    np.testing.assert_allclose(gram_matrix(shuffled), gram_matrix(features), rtol=1e-5, atol=1e-6)


def test_half_precision_is_summed_in_single():
    features = tf.fill([1, 64, 64, 1], tf.constant(16.0, tf.float16))
    assert float(gram_matrix(features)[0, 0, 0]) == 256.0


def test_distance_is_normalised_by_both_lengths():
    one = tf.constant([[[3.0, 4.0]], [[0.0, 0.0]], [[1.0, 0.0]], [[0.0, 0.0]], [[3.0, 1.0]]])
    other = tf.constant([[[3.0, 4.0]], [[2.0, 1.0]], [[-1.0, 0.0]], [[0.0, 0.0]], [[1.0, 0.0]]])
    np.testing.assert_allclose(
        normalized_distance(one, other), [0.0, 1.0, 2.0, 0.0, 5 / 11], rtol=1e-6
    )


def test_objective_against_numpy():
    images = RNG.uniform(size=(2, 4, 5, 1)).astype("float32")
    contents, content_targets = RNG.normal(size=(2, 2, 3, 3, 2)).astype("float32")
    grams = [RNG.normal(size=(2, 2, 2)).astype("float32") for _ in range(2)]
    gram_targets = [RNG.normal(size=(1, 2, 2)).astype("float32") for _ in range(2)]
    loss, logs = style_objective(
        tf.constant(images),
        ([tf.constant(contents)], list(map(tf.constant, grams))),
        ([tf.constant(content_targets)], list(map(tf.constant, gram_targets))),
        StyleWeights(2.0, 3.0, 5.0),
    )
    content = distance_in_numpy(contents, content_targets)
    style = np.mean([distance_in_numpy(one, other) for one, other in zip(grams, gram_targets)])
    steps = np.abs(np.diff(images, axis=1)).sum() + np.abs(np.diff(images, axis=2)).sum()
    variation = steps / images.size
    assert float(logs["content"]) == pytest.approx(content, rel=1e-4)
    assert float(logs["style"]) == pytest.approx(style, rel=1e-4)
    assert float(logs["total_variation"]) == pytest.approx(variation, rel=1e-4)
    assert float(loss) == pytest.approx(2 * content + 3 * style + 5 * variation, rel=1e-4)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ((-1, 1, 0), "content_weight=-1"),
        ((1, 1, -0.1), "total_variation_weight=-0.1"),
        ((1, float("nan"), 0), "style_weight=nan"),
        ((0, 0, 1), "content_weight=0, style_weight=0"),
    ],
)
def test_weights_that_ask_for_nothing_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        checked_weights(*weights)
