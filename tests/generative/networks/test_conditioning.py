"""Layers that take conditions: the harness of layers, and their formulas."""

import keras
import numpy as np
import pytest

from keras_transgen.generative.networks.conditioning import (
    ConditionalNormalization,
    ConditionEmbedding,
    Projection,
)
from tests.harness import LAYER_CHECKS, LayerCase, every_check

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(24, 2, 2, 3)).astype("float32")
EMBEDDING = RNG.normal(size=(24, 4)).astype("float32")

IMPORTS = ("keras_transgen.generative.networks.conditioning",)
CASES = {
    "vector": LayerCase(lambda: ConditionEmbedding(3), EMBEDDING, imports=IMPORTS),
    "normalization": LayerCase(
        ConditionalNormalization,
        [FEATURES, EMBEDDING],
        may_move=lambda path: "moving" in path,
        imports=IMPORTS,
    ),
    "projection": LayerCase(Projection, [FEATURES[:, 0, 0], EMBEDDING], imports=IMPORTS),
}


@pytest.mark.parametrize(("name", "check"), every_check(CASES, LAYER_CHECKS))
def test_layer(name, check, tools):
    if name == "normalization" and "replicas" in check.__name__:
        pytest.skip("each replica normalises by the statistics of its own examples")
    check(CASES[name], tools)


def test_classes_are_rows_of_the_table():
    layer = ConditionEmbedding(3, num_classes=5)
    labels = np.array([4, 0, 4], "uint8")
    np.testing.assert_allclose(layer(labels), layer.table.numpy()[labels], atol=1e-6)


def test_dropped_conditions_get_the_same_vector():
    layer = ConditionEmbedding(3, num_classes=5, unlabelled=True)
    layer.build((None,))
    layer.nothing.assign([7.0, 8.0, 9.0])
    out = layer(np.array([1, 2, 3]), np.array([True, False, True])).numpy()
    np.testing.assert_array_equal(out[[0, 2]], [[7, 8, 9]] * 2)
    np.testing.assert_allclose(out[1], layer.table.numpy()[2], atol=1e-6)


def test_normalization_with_scale_and_offset_of_the_condition():
    layer = ConditionalNormalization(epsilon=0.0)
    plain = layer([FEATURES, EMBEDDING], training=True).numpy()
    normal = (FEATURES - FEATURES.mean((0, 1, 2))) / FEATURES.std((0, 1, 2))
    # It starts as if there were no condition.
    np.testing.assert_allclose(plain, normal, atol=1e-4)
    scale, offset = RNG.normal(size=(2, 4, 3)).astype("float32")
    layer.scale.kernel.assign(scale)
    layer.offset.kernel.assign(offset)
    expected = normal * (1 + EMBEDDING @ scale)[:, None, None] + (EMBEDDING @ offset)[:, None, None]
    out = layer([FEATURES, EMBEDDING], training=True)
    np.testing.assert_allclose(out, expected, atol=1e-3)


def test_projection_is_an_inner_product():
    layer = Projection()
    features = FEATURES[:, 0, 0]
    out = layer([features, EMBEDDING]).numpy()
    expected = np.sum(features * (EMBEDDING @ layer.map.kernel.numpy()), axis=1, keepdims=True)
    expected /= np.sqrt(3)
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_integer_conditions_are_not_rounded_in_half_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    layer = ConditionEmbedding(2, num_classes=600)
    # 257 has no bfloat16.
    expected = layer(np.array([257])).numpy().astype("float32")
    np.testing.assert_allclose(expected[0], layer.table.numpy()[257], rtol=1e-2)
