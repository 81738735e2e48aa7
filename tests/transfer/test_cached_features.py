"""Batches of cached features: every row once an epoch, in another order each epoch."""

import types

import keras
import numpy as np

from keras_transgen.training.progress import Progress
from keras_transgen.transfer import FeatureTransfer
from keras_transgen.transfer.cached_features import FeatureBatches, cache_features
from tests.transfer.tiny import IMAGES, LABELS, backbone


def batches(rows, batch_size, shuffle, progress):
    found = types.SimpleNamespace(
        features=np.arange(rows)[:, None] * 1.0, labels=np.arange(rows), weights=np.arange(rows)
    )
    return FeatureBatches(found, batch_size, shuffle, progress)


def epoch(dataset):
    dataset.on_epoch_begin()
    parts = [dataset[index] for index in range(dataset.num_batches)]
    for features, labels, weights in parts:
        np.testing.assert_array_equal(features[:, 0], labels)
        np.testing.assert_array_equal(weights, labels)
    return np.concatenate([labels for _, labels, _ in parts])


def test_every_row_once_in_an_order_of_the_runs_own():
    progress = Progress()
    dataset = batches(9000, 64, True, progress)
    first = epoch(dataset)
    np.testing.assert_array_equal(np.sort(first), np.arange(9000))
    np.testing.assert_array_equal(epoch(batches(9000, 64, True, progress)), first)
    progress.step.assign(dataset.num_batches)
    second = epoch(dataset)
    assert (first != second).mean() > 0.9
    np.testing.assert_array_equal(np.sort(second), np.arange(9000))


def test_in_order_without_shuffling():
    np.testing.assert_array_equal(epoch(batches(10, 4, False, Progress())), np.arange(10))


def test_pooling_is_part_of_the_key(tmp_path):
    """The same data and backbone: the second model must not find the first one's features."""
    found = []
    for pooling in ("average", "max", "max"):
        model = FeatureTransfer(backbone(), 3, pooling=pooling)
        cached = cache_features(model, IMAGES, LABELS, cache_dir=tmp_path, data_key="images")
        found.append((cached.source.path, np.asarray(cached.features)))
    assert found[0][0] != found[1][0] == found[2][0]
    maps = backbone()(IMAGES).numpy()
    np.testing.assert_allclose(found[0][1], maps.mean(axis=(1, 2)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[1][1], maps.max(axis=(1, 2)), rtol=1e-4, atol=1e-5)


def test_precision_is_part_of_the_key(tmp_path):
    """Weights of bfloat16's network are those of float32's; its features are rounded."""
    paths = []
    for policy in ("float32", "mixed_bfloat16", "float32"):
        keras.config.set_dtype_policy(policy)
        model = FeatureTransfer(backbone(), 3)
        cached = cache_features(model, IMAGES, LABELS, cache_dir=tmp_path, data_key="images")
        paths.append(cached.source.path)
    assert paths[0] != paths[1]
    assert paths[0] == paths[2]
