"""The base class, on a backbone of one's own."""

from typing import Any

import keras
import numpy as np
import pytest

from keras_transgen.backbones import Backbone, InputContract, ParameterGroup


@keras.saving.register_keras_serializable(package="tests")
class TwoScales(Backbone):
    """Multiplies by two learnt numbers, one a block."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first = self.add_weight(shape=(), initializer="ones", name="first")
        self.second = self.add_weight(shape=(), initializer="ones", name="second")
        self.set_up()

    @property
    def input_contract(self) -> InputContract:
        return InputContract((None, 2), "float32", (0.0, 1.0))

    def structure(self) -> str:
        return "two scales"

    def parameter_groups(self) -> list[ParameterGroup]:
        return [ParameterGroup("one", (self.first,)), ParameterGroup("two", (self.second,))]

    def call(self, inputs, training=None):
        return inputs * self.first * self.second

    def compute_output_spec(self, inputs, training=None):
        return keras.KerasTensor(inputs.shape, self.compute_dtype)


class Nothing(TwoScales):
    def parameter_groups(self) -> list[ParameterGroup]:
        return []


def flags(backbone: Backbone) -> list[bool]:
    return [backbone.first.trainable, backbone.second.trainable]


def test_is_frozen_unless_asked():
    assert TwoScales().trainable_weights == []
    assert not TwoScales().trains()
    assert TwoScales(trainable=True).trains()


@pytest.mark.parametrize(
    ("group", "expected", "index"),
    [
        (None, [True, True], None),
        (0, [False, True], 0),
        ("one", [False, True], 0),
        (-2, [False, True], 0),
        ("two", [False, False], 1),
        (-1, [False, False], 1),
    ],
)
def test_freeze_to(group, expected, index):
    backbone = TwoScales(trainable=True)
    backbone.freeze_to(group)
    assert (flags(backbone), backbone.frozen_to) == (expected, index)
    assert flags(TwoScales.from_config(backbone.get_config())) == expected
    backbone.freeze_to(None)
    assert flags(backbone) == [True, True]


@pytest.mark.parametrize("group", ["three", 2, -3])
def test_freeze_to_what_is_not_there(group):
    with pytest.raises(ValueError, match=r"\['one', 'two'\], or an index from 0 to 1"):
        TwoScales().freeze_to(group)


def test_freezing_outlives_trainable():
    backbone = TwoScales()
    backbone.freeze_to("one")
    assert flags(backbone) == [False, False]
    backbone.trainable = True
    assert flags(backbone) == [False, True]
    backbone.trainable = False
    assert flags(backbone) == [False, False]


def test_freezing_all_is_no_training():
    backbone = TwoScales(trainable=True)
    backbone.freeze_to(-1)
    assert not backbone.trains()


def test_nothing_to_train_is_said_at_once():
    with pytest.raises(ValueError, match=r"inference only.*trainable=True"):
        Nothing(trainable=True)


def test_normalization_is_checked():
    assert TwoScales().normalization == "frozen"
    with pytest.raises(ValueError, match="Received: normalization='melted'"):
        TwoScales(normalization="melted")


def test_digest_counts_weights_and_nothing_of_training():
    digest = TwoScales().digest()
    assert TwoScales(trainable=True, normalization="adapt", name="other").digest() == digest
    changed = TwoScales()
    changed.second.assign(2.0)
    assert changed.digest() != digest
    # Two weights that change places are another network.
    changed.first.assign(2.0)
    changed.second.assign(1.0)
    other = TwoScales()
    other.second.assign(2.0)
    assert changed.digest() != other.digest()


def test_inputs_are_checked_and_outputs_known():
    backbone = TwoScales()
    assert backbone.compute_output_shape((None, 2)) == (None, 2)
    with pytest.raises(ValueError, match="sizes do not fit"):
        backbone.check_inputs(np.zeros((1, 3)))
    with pytest.warns(UserWarning, match=r"data was measured in \[0, 9\]"):
        backbone.check_inputs(np.array([[0.0, 9.0]]), "data")


def test_float16_policy_does_not_coarsen_the_input():
    seen = []

    class Reader(TwoScales):
        def call(self, inputs, training=None):
            seen.append(inputs.dtype)
            return inputs

    Reader(dtype="mixed_float16")(np.zeros((1, 2), "float32"))
    assert seen == ["float32"]
