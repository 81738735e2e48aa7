"""Masks of sequences against the same sequences without their padding."""

import keras
import numpy as np
import pytest

from keras_transgen.backbones import KerasBackbone
from keras_transgen.backbones.padding_mask import (
    mask_of,
    masked_centre,
    masked_max,
    masked_mean,
    with_mask,
)

RNG = np.random.default_rng(0)
SEQUENCES = RNG.normal(size=(3, 6, 4)).astype("float32")
LENGTHS = (6, 1, 4)
MASK = np.arange(6) < np.array(LENGTHS)[:, None]


@pytest.mark.parametrize(
    ("masked", "alone"),
    [
        (masked_mean, lambda rows: rows.mean(axis=0)),
        (masked_max, lambda rows: rows.max(axis=0)),
        (masked_centre, lambda rows: rows[(len(rows) - 1) // 2]),
    ],
)
def test_padding_does_not_count_whatever_it_holds(masked, alone):
    spoilt = np.where(MASK[..., None], SEQUENCES, np.nan)
    found = np.asarray(
        masked(keras.ops.convert_to_tensor(spoilt), keras.ops.convert_to_tensor(MASK))
    )
    for row, sequence, length in zip(found, SEQUENCES, LENGTHS):
        np.testing.assert_allclose(row, alone(sequence[:length]), rtol=1e-6)
    nothing = masked(keras.ops.convert_to_tensor(SEQUENCES), keras.ops.zeros((3, 6), "bool"))
    np.testing.assert_array_equal(nothing, np.zeros((3, 4)))


def test_keras_keeps_a_mask_where_it_is_looked_for():
    tokens = keras.ops.convert_to_tensor(np.array([[3, 5, 0]]))
    embedded = keras.layers.Embedding(9, 2, mask_zero=True)(tokens)
    np.testing.assert_array_equal(mask_of(embedded), [[True, True, False]])
    assert mask_of(tokens) is None
    marked = with_mask(keras.ops.ones((1, 3, 2)), keras.ops.convert_to_tensor(MASK[:1, :3]))
    # A layer of Keras that knows masks takes it from there.
    pooled = keras.layers.GlobalAveragePooling1D()(
        with_mask(keras.ops.convert_to_tensor(SEQUENCES), keras.ops.convert_to_tensor(MASK))
    )
    np.testing.assert_allclose(pooled[2], SEQUENCES[2, :4].mean(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(mask_of(keras.layers.ReLU()(marked)), mask_of(marked))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_backbone_hands_the_mask_on_in_every_precision(policy):
    network = keras.Sequential(
        [keras.Input((None,), dtype="int32"), keras.layers.Embedding(9, 2, mask_zero=True)]
    )
    backbone = KerasBackbone(network, dtype=policy)
    np.testing.assert_array_equal(
        mask_of(backbone(np.array([[3, 5, 0], [1, 0, 0]]))),
        [[True, True, False], [True, False, False]],
    )
