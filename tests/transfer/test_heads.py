"""Pooling and joining features, and which heads are linear."""

import keras
import numpy as np
import pytest

from keras_transgen.transfer.heads import FeatureJoin, as_layer, default_head, dense_of

RNG = np.random.default_rng(4)
MAPS = RNG.normal(size=(2, 3, 5, 4)).astype("float32")
SEQUENCE = RNG.normal(size=(2, 6, 3)).astype("float32")
VECTOR = RNG.normal(size=(2, 7)).astype("float32")


@pytest.mark.parametrize(("pooling", "reduce"), [("average", np.mean), ("max", np.max)])
def test_pools_and_joins(pooling, reduce):
    joined = FeatureJoin(pooling)([MAPS, SEQUENCE, VECTOR])
    expected = [reduce(MAPS, axis=(1, 2)), reduce(SEQUENCE, axis=1), VECTOR]
    np.testing.assert_allclose(joined, np.concatenate(expected, axis=1), rtol=1e-5)


def test_normalizes_each_part():
    joined = np.asarray(FeatureJoin(normalize=True)({"a": MAPS, "b": VECTOR}))
    pooled = MAPS.mean(axis=(1, 2))
    np.testing.assert_allclose(
        joined[:, :4], pooled / np.linalg.norm(pooled, axis=1, keepdims=True), rtol=1e-5
    )
    np.testing.assert_allclose(np.linalg.norm(joined[:, 4:], axis=1), 1, rtol=1e-5)


def test_without_pooling_one_output_passes_and_several_are_flattened():
    np.testing.assert_array_equal(FeatureJoin("none")(MAPS), MAPS)
    assert FeatureJoin("none")([MAPS, VECTOR]).shape == (2, 67)
    assert FeatureJoin()(VECTOR[:, 0]).shape == (2, 1)


def test_symbolic_shape_is_the_eager_one():
    spec = FeatureJoin().compute_output_spec(
        [keras.KerasTensor((None, None, None, 4)), keras.KerasTensor((None, 7))]
    )
    assert spec.shape == (None, 11)


def test_default_head_is_linear_and_others_are_not():
    assert dense_of(default_head(3)).units == 3
    assert dense_of(default_head(3, dropout=0.5)).units == 3
    assert dense_of(keras.layers.Dense(3, activation="relu")) is None
    assert dense_of(keras.layers.Dense(3, use_bias=False)) is None
    assert dense_of(keras.Sequential([keras.layers.Dense(3), keras.layers.Dense(3)])) is None


def test_refuses_what_is_no_head():
    with pytest.raises(ValueError, match=r"head must be a Keras layer.*lambda"):
        as_layer(lambda x: x, "head")
    with pytest.raises(ValueError, match="dropout must be in"):
        default_head(3, dropout=1.0)
    with pytest.raises(ValueError, match="pooling must be one of"):
        FeatureJoin("sum")


@pytest.mark.parametrize("pooling", ["average", "max", "centre"])
@pytest.mark.parametrize("normalize", [False, True])
def test_a_padded_sequence_is_the_sequence(pooling, normalize):
    rng = np.random.default_rng(0)
    sequences = rng.normal(size=(3, 6, 4)).astype("float32")
    join = FeatureJoin(pooling, normalize)
    mask = np.arange(6) < np.array([[6], [1], [4]])
    found = join([sequences, sequences[:, :, 0]], mask=[keras.ops.convert_to_tensor(mask), None])
    for row, sequence, length in zip(found, sequences, (6, 1, 4)):
        alone = join([sequence[None, :length], sequence[None, :, 0]])
        np.testing.assert_allclose(row, alone[0], rtol=1e-5)


def test_centre_and_flatten_of_maps():
    maps = np.arange(2 * 4 * 5 * 3, dtype="float32").reshape(2, 4, 5, 3)
    np.testing.assert_array_equal(FeatureJoin("centre")(maps), maps[:, 1, 2])
    np.testing.assert_array_equal(FeatureJoin("flatten")(maps), maps.reshape(2, -1))
    with pytest.raises(ValueError, match="use 'average', 'max' or 'centre'"):
        FeatureJoin("flatten")(maps[:, :, 0], mask=keras.ops.ones((2, 4), "bool"))
