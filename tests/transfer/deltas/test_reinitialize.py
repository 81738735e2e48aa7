"""Fresh parameters have the variances that their papers give, and what a network needs besides."""

import keras
import numpy as np
import pytest

from keras_transgen.backbones import KerasBackbone
from keras_transgen.transfer.deltas import Reinitialize
from tests.transfer.deltas.networks import BACKBONES, values


def wide_backbone() -> KerasBackbone:
    inputs = keras.Input((4, 4, 48))
    x = keras.layers.Conv2D(64, 3, name="block_1_conv")(inputs)
    x = keras.layers.BatchNormalization(name="block_1_bn")(x)
    x = keras.layers.DepthwiseConv2D(3, padding="same", name="block_2_depthwise")(x)
    x = keras.layers.Dense(80, name="block_3_dense")(x)
    network = keras.Model(inputs, x)
    for weight in network.weights:
        weight.assign(np.full(weight.shape, 0.5))
    return KerasBackbone(network, normalization="adapt")


def fresh(backbone, **kwargs) -> dict[str, np.ndarray]:
    delta = Reinitialize(backbone, seed=3, **kwargs)
    state = delta.state()
    return {target.path: state[str(target.index)] for target in delta.touched}


def test_variances():
    found = fresh(wide_backbone())
    # He et al.: 2 / inputs; Glorot and Bengio: 2 / (inputs + outputs). The estimates' own
    # standard error is sqrt(2 / n) at most, 1.2 % for 13,824 numbers; 4 of them are allowed.
    for path, variance in {
        "block_1_conv/kernel": 2 / (9 * 48),
        "block_2_depthwise/kernel": 2 / 9,
        "block_3_dense/kernel": 2 / (64 + 80),
    }.items():
        kernel = found[path]
        assert kernel.var() == pytest.approx(variance, rel=4 * np.sqrt(2 / kernel.size)), path
        assert abs(kernel.mean()) < 4 * np.sqrt(variance / kernel.size)
    for path, value in {"gamma": 1, "beta": 0, "moving_mean": 0, "moving_variance": 1}.items():
        assert (found[f"block_1_bn/{path}"] == value).all()
    assert (found["block_3_dense/bias"] == 0).all()


def test_kernels_differ_from_one_another_and_the_seed_repeats_them():
    one, two = fresh(wide_backbone()), fresh(wide_backbone())
    assert all((one[path] == two[path]).all() for path in one)
    kernels = [one["block_1_conv/kernel"].ravel()[:100], one["block_3_dense/kernel"].ravel()[:100]]
    assert abs(np.corrcoef(kernels)[0, 1]) < 0.4


@pytest.mark.parametrize("kind", BACKBONES)
def test_from_a_group_on(kind):
    with pytest.warns(UserWarning, match="normalization='adapt'"):
        Reinitialize(BACKBONES[kind]())
    found = fresh(BACKBONES[kind](), from_group="block_1")
    assert set(found) == {path for path in values() if path.startswith("block")}
    assert set(fresh(BACKBONES[kind](), from_group=-1)) == {
        "block_2_dense/kernel",
        "block_2_dense/bias",
    }


def test_no_such_group():
    with pytest.raises(ValueError, match=r"one of \['stem', 'block_1', 'block_2'\].*'block_9'"):
        Reinitialize(BACKBONES["keras"](), from_group="block_9")
