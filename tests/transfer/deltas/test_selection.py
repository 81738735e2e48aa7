"""Which parameters the selections hold."""

import keras
import pytest

from keras_transgen.backbones import KerasBackbone
from keras_transgen.transfer.deltas import Bias, Last, Normalization
from tests.transfer.deltas.networks import BACKBONES

CHOSEN = {
    Bias: ["stem_bn/beta", "block_1_project/bias", "block_2_dense/bias"],
    Normalization: ["stem_bn/gamma", "stem_bn/beta"],
    Last: ["block_2_dense/kernel", "block_2_dense/bias"],
}


@pytest.mark.parametrize("kind", BACKBONES)
@pytest.mark.parametrize("method", CHOSEN)
def test_chosen(kind, method):
    delta = method(BACKBONES[kind]())
    assert [target.path for target in delta.touched] == CHOSEN[method]


def test_targets_narrow_the_selection():
    delta = Bias(BACKBONES["saved"](), targets="block_1")
    assert [target.path for target in delta.touched] == ["block_1_project/bias"]


def test_last_holds_the_statistics_that_follow_the_data():
    backbone = BACKBONES["saved"](normalization="adapt")
    paths = {target.path for target in Last(backbone).touched}
    assert paths == {*CHOSEN[Last], "stem_bn/moving_mean", "stem_bn/moving_variance"}


def test_a_network_without_any():
    network = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2, use_bias=False, name="only")]
    )
    with pytest.raises(ValueError, match=r"method='bias' acts on offsets.*only/kernel"):
        Bias(KerasBackbone(network))
    with pytest.raises(ValueError, match="method='normalization' acts on scales"):
        Normalization(KerasBackbone(network))


@pytest.mark.parametrize("groups", [0, 4, True, 1.5])
def test_wrong_number_of_groups(groups):
    with pytest.raises(ValueError, match=r"groups must be .*Received: groups="):
        Last(BACKBONES["keras"](), groups=groups)


def test_a_base_that_follows_the_data_is_refused():
    with pytest.raises(ValueError, match=r"method='bias'.*normalization='frozen'.*'adapt'"):
        Bias(BACKBONES["keras"](normalization="adapt"))
