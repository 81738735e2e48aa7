"""Networks of flows: their sizes, what they start as, how time and condition enter."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.generative.networks.adaptive_normalization import AdaptiveNormalization
from keras_transgen.generative.networks.flow_dense import flow_dense
from keras_transgen.generative.networks.flow_unet import flow_unet
from keras_transgen.generative.networks.patch_transformer import (
    LearnedPositions,
    ModulatedBlock,
    patch_transformer,
)
from keras_transgen.generative.networks.time_embedding import SinusoidalEmbedding
from tests.harness import LAYER_CHECKS, LayerCase

RNG = np.random.default_rng(0)

LAYERS = {
    "adaptive normalization": LayerCase(
        make=lambda: AdaptiveNormalization(2),
        inputs=[
            RNG.normal(size=(6, 4, 4, 4)).astype("float32"),
            RNG.normal(size=(6, 3)).astype("float32"),
        ],
    ),
    "modulated block": LayerCase(
        make=lambda: ModulatedBlock(2, 2),
        inputs=[
            RNG.normal(size=(6, 3, 4)).astype("float32"),
            RNG.normal(size=(6, 3)).astype("float32"),
        ],
        # In the first step its gates are closed to all that lies behind them.
        moves=lambda path: "modulation" in path or "head" in path,
    ),
    "positions": LayerCase(make=LearnedPositions, inputs=np.ones((6, 3, 2), "float32")),
}


@pytest.mark.parametrize("check", LAYER_CHECKS)
@pytest.mark.parametrize("name", LAYERS)
def test_layer(name, check, tools):
    check(LAYERS[name], tools)


def test_sines_and_cosines_of_times():
    embedded = np.asarray(SinusoidalEmbedding(4)(tf.constant([0.0, 0.001, 0.5])))
    angles = np.array([0.0, 1.0, 500.0])[:, None] * np.array([1.0, 0.01])
    expected = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    np.testing.assert_allclose(embedded, expected, atol=1e-4)
    with pytest.raises(ValueError, match="dim=3"):
        SinusoidalEmbedding(3)


@pytest.mark.parametrize("groups", [2, None])
def test_adaptive_normalization_is_normalization_scaled_and_moved(groups):
    x = RNG.normal(2.0, 3.0, size=(3, 4, 4, 6)).astype("float32")
    embedding = RNG.normal(size=(3, 5)).astype("float32")
    layer = AdaptiveNormalization(groups)
    axes = (1, 2, 4) if groups else 4
    grouped = x.reshape(3, 4, 4, groups or 1, -1)
    mean, variance = grouped.mean(axes, keepdims=True), grouped.var(axes, keepdims=True)
    plain = ((grouped - mean) / np.sqrt(variance)).reshape(x.shape)
    np.testing.assert_allclose(layer([x, embedding]), plain, atol=1e-3)
    kernel, bias = RNG.normal(size=(5, 12)), RNG.normal(size=12)
    layer.modulation.set_weights([kernel, bias])
    scale, offset = np.split(embedding @ kernel + bias, 2, axis=1)
    expected = plain * (1 + scale[:, None, None]) + offset[:, None, None]
    np.testing.assert_allclose(layer([x, embedding]), expected, atol=1e-2)


def test_a_block_starts_as_the_identity():
    x, embedding = RNG.normal(size=(2, 5, 8)), RNG.normal(size=(2, 3))
    block = ModulatedBlock(2)
    np.testing.assert_allclose(block([x, embedding]), x, atol=1e-6)
    # A gate of one for the dense part alone adds what that makes of normalized tokens.
    bias = np.zeros(48)
    bias[40:] = 1.0
    block.modulation.set_weights([np.zeros((3, 48)), bias])
    normal = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)
    kernel, offset = block.hidden.get_weights()
    hidden = keras.ops.gelu(normal @ kernel + offset, approximate=False)
    kernel, offset = block.output_map.get_weights()
    np.testing.assert_allclose(block([x, embedding]), x + hidden @ kernel + offset, atol=1e-4)


@pytest.mark.parametrize(
    ("make", "shape", "parameters"),
    [
        (flow_unet, (28, 28, 1), 1.8e6),
        (flow_unet, (64, 64, 3), 1.8e6),
        (patch_transformer, (28, 28, 1), 1.9e6),
        (flow_dense, (64,), 0.74e6),
    ],
)
def test_sizes_that_are_stated(make, shape, parameters):
    network = make(shape, embedding_dim=128)
    assert network.count_params() == pytest.approx(parameters, rel=0.03)
    assert network.output_shape == (None, *shape)


SMALL = {
    "dense": (flow_dense, (5,), 8),
    "U-Net of odd sides": (flow_unet, (9, 7, 2), 4),
    "U-Net of two levels": (flow_unet, (16, 14, 1), 4),
    "U-Net of patches": (lambda *a, **k: flow_unet(*a, patch=2, **k), (8, 8, 3), 4),
    "Transformer of images": (patch_transformer, (8, 8, 3), 8),
    "Transformer of sequences": (patch_transformer, (32, 3), 8),
}


@pytest.mark.parametrize("name", SMALL)
def test_time_and_condition_are_heard(name):
    make, shape, width = SMALL[name]
    network = make(shape, width=width, embedding_dim=3)
    x = RNG.normal(size=(2, *shape)).astype("float32")
    times, condition = np.float32([0.3, 0.3]), RNG.normal(size=(2, 3)).astype("float32")
    np.testing.assert_array_equal(network([x, times, condition]), np.zeros((2, *shape)))
    for weight in network.trainable_weights:
        weight.assign(weight + 0.1 * RNG.normal(size=weight.shape))
    said = network([x, times, condition]).numpy()
    later = network([x, np.float32([0.3, 0.8]), condition]).numpy()
    told = network([x, times, condition[:1].repeat(2, 0)]).numpy()
    for other in (later, told):
        np.testing.assert_allclose(other[0], said[0], atol=1e-4)
        assert abs(other[1] - said[1]).max() > 1e-3
    # Every value depends on every other: the network sees the whole example.
    moved = x.copy()
    moved[0].ravel()[0] += 1.0
    changed = abs(network([moved, times, condition]).numpy()[0] - said[0])
    assert (changed.reshape(-1, shape[-1]).max(axis=1) > 0).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: flow_unet((5,)), "for images"),
        (lambda: flow_unet((9, 9, 1), patch=2), "patch=2"),
        (lambda: patch_transformer((5,)), "sequences"),
        (lambda: patch_transformer((9, 9, 1), patch=2), "patch=2"),
        (lambda: patch_transformer((101, 101, 1)), "10,201 patches"),
        (lambda: patch_transformer((8, 8, 1), width=65), "width=65"),
    ],
)
def test_what_cannot_be_made_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
