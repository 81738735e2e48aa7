"""Neighbours far from zero, and loaded into a fresh model; probes with examples of no weight."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.backbones import KerasBackbone
from keras_transgen.transfer import FeatureTransfer
from keras_transgen.transfer.linear_probe import fit_linear_probe
from keras_transgen.transfer.neighbours import KNearestNeighbours, NearestCentroid
from tests.transfer.tiny import IMAGES, LABELS, backbone, network


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e4])
def test_far_from_zero_the_nearest_is_the_nearest(offset):
    random = np.random.default_rng(0)
    features = random.normal(size=(200, 8)).astype("float32")
    labels = (features[:, 0] > 0).astype(int)
    features[:, 0] += 4 * labels
    features = (features + offset).astype("float32")
    exact = features.astype("float64")
    means = np.stack([exact[labels == each].mean(axis=0) for each in (0, 1)])
    expected = np.square(exact[:, None] - means).sum(axis=-1).argmin(axis=1)
    centroids = NearestCentroid(2)
    centroids.remember(features, labels)
    np.testing.assert_array_equal(np.asarray(centroids(features)).argmax(axis=1), expected)
    neighbours = KNearestNeighbours(2, k=1)
    neighbours.remember(features, labels)
    np.testing.assert_array_equal(np.asarray(neighbours(features)).argmax(axis=1), labels)


def test_weights_load_into_a_model_that_remembers_nothing_yet(tmp_path):
    def make():
        return FeatureTransfer(backbone(), 3, classifier="k_nearest_neighbours", k=3)

    fitted, fresh, other = make(), make(), make()
    fitted.fit(IMAGES, LABELS, verbose=0)
    other.fit(IMAGES[:12], LABELS[:12], verbose=0)
    fitted.save_weights(tmp_path / "x.weights.h5")
    expected = fitted.predict(IMAGES, verbose=0)
    for model in (fresh, other):
        assert not np.allclose(model.predict(IMAGES, verbose=0), expected)
        model.load_weights(tmp_path / "x.weights.h5")
        np.testing.assert_allclose(model.predict(IMAGES, verbose=0), expected, atol=1e-5)
    fresh.save(tmp_path / "x.keras")
    loaded = keras.saving.load_model(tmp_path / "x.keras")
    np.testing.assert_allclose(loaded.predict(IMAGES, verbose=0), expected, atol=1e-5)


@pytest.mark.slow
def test_examples_of_no_weight_change_no_sweep():
    random = np.random.default_rng(0)
    features = random.normal(size=(40, 6))
    targets = np.eye(2)[(features[:, 0] > 0).astype(int)]
    for seed in range(20):
        weights = np.zeros(40)
        chosen = random.choice(40, 12, replace=False)
        weights[chosen] = 1.0
        probe = fit_linear_probe(features, targets, weights=weights, seed=seed)
        assert all(np.isfinite(loss) for _, loss in probe.tried)
        alone = fit_linear_probe(features[np.sort(chosen)], targets[np.sort(chosen)], seed=seed)
        np.testing.assert_allclose(probe.kernel, alone.kernel, atol=1e-6)


def test_taps_keep_the_dtype_policy():
    half = KerasBackbone(network(), dtype="mixed_bfloat16")
    layers = ["stem_relu", "block_1_conv"]
    assert half.tap(layers).dtype_policy.name == "mixed_bfloat16"
    model = FeatureTransfer(half, 3, layers=layers)
    assert model.backbone.dtype_policy.name == "mixed_bfloat16"


def test_layers_of_a_saved_model_are_used_together(tmp_path):
    class Two(tf.Module):
        def __init__(self):
            self.a = tf.Variable(np.eye(4, 3, dtype="float32"), name="first/kernel")
            self.b = tf.Variable(np.ones((3, 2), "float32"), name="second/kernel")

        @tf.function(input_signature=[tf.TensorSpec([None, 4])])
        def __call__(self, x):
            with tf.name_scope("first"):
                x = x @ self.a
            with tf.name_scope("second"):
                return x @ self.b

    tf.saved_model.save(Two(), str(tmp_path / "two"))
    x = np.random.default_rng(0).normal(size=(12, 4)).astype("float32")
    labels = (x[:, 0] > 0).astype(int)
    first = x[:, :3]
    second = np.repeat(first.sum(axis=1, keepdims=True), 2, axis=1)
    parts = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (first, second)]
    module = ktg.load_backbone(tmp_path / "two")
    model = FeatureTransfer(module, 2, layers=["first", "second"], l2=0.1)
    np.testing.assert_allclose(model.features(x), np.concatenate(parts, axis=1), atol=1e-5)
    model.fit(x, labels, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = ktg.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-5)
