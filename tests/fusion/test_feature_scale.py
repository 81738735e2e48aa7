"""FeatureScale against scikit-learn's scaler."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.preprocessing import StandardScaler

from keras_transgen.fusion.feature_scale import FeatureScale

FEATURES = (np.random.default_rng(0).normal(size=(50, 4)) * [1, 5, 0.1, 3] + 7).astype("float32")


def test_against_scikit_learn():
    scale = FeatureScale(4)
    assert not scale.adapted
    scale.adapt(FEATURES)
    assert scale.adapted
    np.testing.assert_allclose(scale(FEATURES), StandardScaler().fit_transform(FEATURES), atol=1e-4)
    np.testing.assert_allclose(scale.inverse(scale(FEATURES)), FEATURES, atol=1e-5)


def test_batches_tell_the_same():
    whole, parts = FeatureScale(4), FeatureScale(4)
    whole.adapt(FEATURES)
    data = tf.data.Dataset.from_tensor_slices((FEATURES, np.zeros(50))).batch(7)
    parts.adapt(data)
    for one, other in zip(whole.weights, parts.weights):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-6)


def test_a_constant_feature_stays_what_it_was():
    features = FEATURES.copy()
    features[:, 1] = 0.5
    scale = FeatureScale(4)
    scale.adapt(features)
    standard = np.asarray(scale(features + 2.0))
    np.testing.assert_allclose(standard[:, 1], 2.0, atol=1e-6)
    assert np.abs(standard).max() < 100
    np.testing.assert_allclose(scale.inverse(np.ones((3, 4), "float32"))[:, 1], 0.5, atol=1e-6)


def test_every_replica_has_it(two_replicas):
    with two_replicas.scope():
        scale = FeatureScale(4)
    scale.adapt(FEATURES)
    sums = two_replicas.run(lambda: tf.reduce_sum(scale(FEATURES[:5])))
    expected = StandardScaler().fit(FEATURES).transform(FEATURES[:5]).sum()
    np.testing.assert_allclose(two_replicas.experimental_local_results(sums), expected, rtol=1e-3)


def test_refuses_no_rows():
    with pytest.raises(ValueError, match="Received: 0 rows"):
        FeatureScale(4).adapt(FEATURES[:0])
