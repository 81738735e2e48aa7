"""The rotation loses nothing: distances, spans and penalties stay what they were."""

import numpy as np
import pytest

from keras_transgen.transfer import rotated_features
from keras_transgen.transfer.rotated_features import rotate

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(12, 40), (40, 12), (20, 20)])
def test_keeps_distances_and_is_uncorrelated(shape):
    features = RNG.normal(size=shape).astype("float32") @ np.diag(np.linspace(1, 5, shape[1]))
    found = rotate(features, np.full(shape[0], 1 / shape[0]))
    assert found.values.shape == (shape[0], min(shape[0] - 1, shape[1]))
    np.testing.assert_allclose(found.values @ found.basis.T + found.mean, features, atol=1e-9)
    gram = found.values.T @ found.values
    np.testing.assert_allclose(gram - np.diag(np.diag(gram)), 0, atol=1e-8 * gram.max())
    np.testing.assert_allclose(found.basis.T @ found.basis, np.eye(gram.shape[0]), atol=1e-8)


def test_centres_at_the_weighted_mean():
    features, weights = RNG.normal(size=(9, 3)), RNG.uniform(size=9)
    weights /= weights.sum()
    np.testing.assert_allclose(
        rotate(features, weights).mean, np.average(features, axis=0, weights=weights), rtol=1e-12
    )


def test_drops_directions_without_variance():
    features = np.repeat(RNG.normal(size=(20, 2)), 3, axis=1)
    assert rotate(features, np.full(20, 0.05)).values.shape == (20, 2)
    assert rotate(np.ones((4, 3)), np.full(4, 0.25)).values.shape == (4, 0)


def test_blocks_do_not_matter(monkeypatch):
    features = RNG.normal(size=(30, 5)).astype("float32")
    whole = rotate(features, np.full(30, 1 / 30))
    monkeypatch.setattr(rotated_features, "_BLOCK_ROWS", 7)
    parts = rotate(features, np.full(30, 1 / 30))
    np.testing.assert_allclose(abs(parts.values), abs(whole.values), atol=1e-10)


def test_weights_go_back_to_the_original_features():
    features = RNG.normal(size=(15, 6))
    found = rotate(features, np.full(15, 1 / 15))
    weights, bias = RNG.normal(size=(found.values.shape[1], 2)), RNG.normal(size=2)
    kernel, original_bias = found.to_original(weights, bias)
    np.testing.assert_allclose(
        features @ kernel + original_bias, found.values @ weights + bias, atol=1e-10
    )
    assert np.isclose(np.sum(kernel**2), np.sum(weights**2))
