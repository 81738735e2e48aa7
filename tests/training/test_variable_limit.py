"""Variables beyond a limit are refused before they take memory."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.training.variable_limit import (
    TooManyVariablesError,
    limit_variables,
    variables_for,
)


def test_the_limit_is_the_sum_of_bytes():
    def network():
        # 4 * 8 + 8 numbers of four bytes: 160 bytes.
        keras.layers.Dense(8).build((None, 4))

    with limit_variables(max_bytes=160, max_count=2):
        network()
    with (
        pytest.raises(TooManyVariablesError, match="of 160 bytes so far"),
        limit_variables(max_bytes=159, max_count=2),
    ):
        network()
    with (
        pytest.raises(TooManyVariablesError, match="at most 1 of"),
        limit_variables(max_bytes=160, max_count=1),
    ):
        network()
    network()


def test_what_a_file_may_ask_for():
    """Four times what it has, ten thousand variables a module, and a little for nothing."""
    assert variables_for(0, 0) == (268_435_456, 4000)
    assert variables_for(1000, 7) == (268_439_456, 4028)
    assert variables_for(1000, 7, modules=2) == (268_439_456, 24_028)


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.layers.Embedding(10**9, 10**6).build((None,)),
        lambda: keras.Sequential([keras.Input((8,)), keras.layers.Dense(10**12)]),
        lambda: keras.Variable("zeros", shape=(10**7, 10**7)),
        lambda: keras.layers.BatchNormalization().build((None, 10**13)),
    ],
)
def test_no_memory_is_taken_beyond_it(make):
    # 4 TB and more: taking them would end the process.
    with (
        pytest.raises(TooManyVariablesError, match="Received"),
        limit_variables(max_bytes=2**20, max_count=100),
    ):
        make()


def test_where_keras_keeps_the_shape_of_a_variable():
    """Fails when Keras makes variables in another way: then `limit_variables` counts nothing."""
    seen = []

    def creator(next_creator, **kwargs):
        seen.append(kwargs["initial_value"])
        return next_creator(**kwargs)

    with tf.variable_creator_scope(creator):
        variable = keras.Variable("zeros", shape=(2, 3))
    (function,) = seen
    held = dict(zip(function.__code__.co_freevars, function.__closure__))
    assert held["self"].cell_contents is variable


def test_other_variables_count_too():
    with (
        pytest.raises(TooManyVariablesError),
        limit_variables(max_bytes=100, max_count=9),
    ):
        tf.Variable(np.zeros(26, "float32"))
