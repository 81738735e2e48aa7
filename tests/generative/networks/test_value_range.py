"""The last layer of a generator."""

import numpy as np
import pytest

from keras_transgen.generative.networks.value_range import InValueRange
from tests.harness import LAYER_CHECKS, LayerCase

X = np.random.default_rng(0).normal(size=(24, 3)).astype("float32")


CASE = LayerCase(
    lambda: InValueRange((0.0, 1.0)),
    X,
    imports=("keras_transgen.generative.networks.value_range",),
)


@pytest.mark.parametrize("check", LAYER_CHECKS)
def test_layer(check, tools):
    check(CASE, tools)


def test_values():
    np.testing.assert_allclose(InValueRange((1.0, 5.0))(X), 3.0 + 2.0 * np.tanh(X), rtol=1e-5)
    np.testing.assert_array_equal(InValueRange(None)(X), X)
