"""A digest knows what a network computes, and not how its layers are called."""

import keras
import numpy as np
import pytest

from keras_transgen.backbones import KerasBackbone
from keras_transgen.backbones.network_digest import layer_digest


def digests(network) -> tuple[str, str]:
    return layer_digest(network), KerasBackbone(network).digest()


def dense(name=None, **kwargs) -> keras.Model:
    """The same weights every time."""
    inputs = keras.Input((4, 4, 2), name=None if name is None else f"{name}_input")
    layer = keras.layers.Conv2D(2, 3, name=name, kernel_initializer="ones", **kwargs)
    return keras.Model(inputs, keras.layers.Flatten()(layer(inputs)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"activation": "relu"}, {"activation": "tanh"}),
        ({"padding": "same"}, {"padding": "valid"}),
        ({"kernel_constraint": "non_neg"}, {"kernel_constraint": "unit_norm"}),
    ],
    ids=lambda each: next(iter(each)),
)
def test_a_layer_may_bear_the_name_of_what_it_does(one, other):
    (first,), (second,) = one.values(), other.values()
    pairs = zip(digests(dense(first, **one)), digests(dense(second, **other)), strict=True)
    assert all(a != b for a, b in pairs)
    same = zip(digests(dense(first, **one)), digests(dense("another", **one)), strict=True)
    assert all(a == b for a, b in same)


def test_names_do_not_count_neither_chosen_nor_counted_ones():
    found = {digests(dense(name)) for name in (None, None, "first", "conv2d_77")}
    assert len(found) == 1


def chain(names, order) -> keras.Model:
    inputs = keras.Input((3,))
    layers = [keras.layers.Dense(3, name=name, kernel_initializer="ones") for name in names]
    branches = [layer(inputs) for layer in layers]
    difference = keras.layers.Subtract()([branches[place] for place in order])
    return keras.Model(inputs, difference)


def test_wiring_counts():
    straight, crossed = (chain(("a", "b"), order) for order in ((0, 1), (1, 0)))
    for network in (straight, crossed):
        network.get_layer("a").bias.assign([1.0, 2.0, 3.0])
    x = np.ones((1, 3), "float32")
    assert not np.allclose(straight(x), crossed(x))
    assert all(a != b for a, b in zip(digests(straight), digests(crossed), strict=True))
    again = chain(("c", "d"), (0, 1))
    again.get_layer("c").bias.assign([1.0, 2.0, 3.0])
    assert digests(again) == digests(straight)
