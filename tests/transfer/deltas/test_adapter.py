"""Where adapters stand, and that they train as layers of the network."""

import keras
import numpy as np
import pytest

from keras_transgen.backbones import KerasBackbone
from keras_transgen.transfer.deltas import Adapter, BottleneckAdapter
from keras_transgen.transfer.structure_transfer import StructureTransfer
from tests.transfer.deltas.networks import BACKBONES, IMAGES, LABELS, keras_backbone


def residual_backbone() -> KerasBackbone:
    inputs = keras.Input((4,))
    x = inputs
    for block in range(2):
        y = keras.layers.Dense(4, activation="relu", name=f"block_{block}_dense")(x)
        x = keras.layers.Add(name=f"block_{block}_add")([x, y])
    return KerasBackbone(keras.Model(inputs, x))


def test_bottleneck_is_the_formula():
    layer = BottleneckAdapter(2, activation="tanh")
    x = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")
    assert (layer(x).numpy() == x).all()
    rng = np.random.default_rng(1)
    down, offset, up, shift = (rng.normal(size=w.shape).astype("float32") for w in layer.weights)
    layer.set_weights([down, offset, up, shift])
    np.testing.assert_allclose(
        layer(x), x + np.tanh(x @ down + offset) @ up + shift, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    ("make", "targets", "places"),
    [
        (residual_backbone, None, ["block_0_add", "block_1_add"]),
        (residual_backbone, "block_1", ["block_1_dense", "block_1_add"]),
        (
            keras_backbone,
            None,
            ["stem_conv", "block_1_depthwise", "block_1_project", "block_2_dense"],
        ),
        (BACKBONES["saved"], None, ["output_0"]),
    ],
)
def test_places(make, targets, places):
    delta = Adapter(make(), name="thin", rank=3, targets=targets)
    assert [adapter.name for adapter in delta.adapters] == [f"thin_{place}" for place in places]


def test_an_adapter_inside_the_network_computes_there():
    backbone = residual_backbone()
    delta = Adapter(backbone, rank=2, targets="block_0_add")
    rng = np.random.default_rng(1)
    delta.restore({key: rng.normal(size=v.shape) for key, v in delta.state().items()})
    x = rng.normal(size=(3, 4)).astype("float32")
    layers = {layer.name: layer for layer in backbone.network.layers}
    middle = x + layers["block_0_dense"](x)
    middle = delta.adapters[0](middle)
    expected = middle + layers["block_1_dense"](middle)
    np.testing.assert_allclose(delta.features(backbone, x, True), expected, rtol=1e-5)
    # The backbone itself goes on without it.
    assert not np.allclose(backbone(x), expected)


def test_sequential_networks_are_opened_too():
    network = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, name="a"), keras.layers.Dense(2, name="b")]
    )
    delta = Adapter(KerasBackbone(network), rank=1)
    assert [adapter.name for adapter in delta.adapters] == ["adapter_a", "adapter_b"]


@pytest.mark.slow
def test_statistics_of_the_base_stay():
    backbone = keras_backbone()
    model = StructureTransfer(backbone, 3, method="adapter", head_initialization="random")
    before = [weight.numpy() for weight in backbone.weights]
    model.fit(IMAGES, LABELS, verbose=0)
    for old, weight in zip(before, backbone.weights):
        np.testing.assert_array_equal(old, weight.numpy(), err_msg=weight.path)


def test_targets_that_match_nothing():
    with pytest.raises(
        ValueError, match=r"layer of the network: stem_conv.*Received: targets='x9'"
    ):
        Adapter(keras_backbone(), targets="x9")
    with pytest.raises(ValueError, match="stands behind its output: leave targets away"):
        Adapter(BACKBONES["saved"](), targets="stem")


def test_an_adapter_cannot_be_merged():
    model = StructureTransfer(keras_backbone(), 3, method="adapter")
    with pytest.raises(ValueError, match="method='adapter' adds layers"):
        model.merge()
