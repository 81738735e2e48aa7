"""The remembering heads, held against scikit-learn's."""

import keras
import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neighbors import NearestCentroid as SklearnNearestCentroid

from keras_transgen.transfer.neighbours import (
    KNearestNeighbours,
    NearestCentroid,
    squared_distances,
)

RNG = np.random.default_rng(3)
FEATURES = RNG.normal(size=(40, 6)).astype("float32")
CLASSES = np.arange(40) % 4
FEATURES[np.arange(40), CLASSES] += 1.5
QUERIES = RNG.normal(size=(25, 6)).astype("float32")


def test_nearest_centroid_is_scikit_learns():
    head = NearestCentroid(4)
    head.remember(FEATURES, CLASSES)
    expected = SklearnNearestCentroid().fit(FEATURES, CLASSES)
    np.testing.assert_allclose(head.centroids, expected.centroids_, atol=1e-6)
    np.testing.assert_array_equal(np.argmax(head(QUERIES), axis=1), expected.predict(QUERIES))
    distances = ((QUERIES[:, None] - expected.centroids_[None]) ** 2).sum(axis=-1)
    np.testing.assert_allclose(head(QUERIES), -distances / 2, atol=1e-4)


def test_weights_move_the_centroids():
    head = NearestCentroid(2)
    head.remember(np.array([[0.0], [4.0], [9.0]], "float32"), np.array([0, 0, 1]), [3.0, 1.0, 1.0])
    np.testing.assert_allclose(head.centroids, [[1.0], [9.0]])


def test_a_class_without_examples_has_no_centroid():
    with pytest.raises(ValueError, match=r"Every class needs an example.*\[2\]"):
        NearestCentroid(3).remember(FEATURES[:2], np.array([0, 1]))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("k", [1, 3, 7])
def test_k_nearest_neighbours_are_scikit_learns(k, metric):
    head = KNearestNeighbours(4, k=k, metric=metric)
    head.remember(FEATURES, CLASSES)
    expected = KNeighborsClassifier(k, metric=metric).fit(FEATURES, CLASSES)
    shares = keras.ops.softmax(head(QUERIES)).numpy()
    np.testing.assert_allclose(shares, expected.predict_proba(QUERIES), atol=1e-3)


def test_votes_may_weigh():
    head = KNearestNeighbours(2, k=3)
    head.remember(np.array([[0.0], [1.0], [2.0]], "float32"), np.array([0, 0, 1]), [1.0, 1.0, 6.0])
    shares = keras.ops.softmax(head(np.array([[1.0]], "float32"))).numpy()
    np.testing.assert_allclose(shares, [[0.25, 0.75]], atol=1e-6)


def test_fewer_examples_than_neighbours():
    with pytest.raises(ValueError, match="at least k examples"):
        KNearestNeighbours(2, k=5).remember(FEATURES[:3], np.array([0, 1, 0]))


def test_squared_distances_by_hand():
    found = squared_distances(np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[3.0, 4.0]]))
    np.testing.assert_allclose(found, [[25.0], [0.0]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"k": 0}, "k must be at least 1"), ({"metric": "angle"}, "metric must be one of")],
)
def test_refuses_what_makes_no_sense(arguments, message):
    with pytest.raises(ValueError, match=message):
        KNearestNeighbours(2, **arguments)
