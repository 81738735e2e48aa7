"""What workers tell each other; that unequal ones stop is tested with two processes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.training.worker_agreement import (
    describe_data,
    describe_weights,
    package_versions,
    refuse_unequal_workers,
)


def test_arrays_are_told_with_their_rows_and_data_sets_with_their_batches():
    x, y = np.zeros((3, 2), "float32"), np.zeros(3, "int64")
    assert describe_data(({"a": x}, y, None)) == ("({'a': 'float32[3, 2]'}, 'int64[3]', 'none')")
    one, other = (tf.data.Dataset.from_tensor_slices(x).repeat(count).batch(2) for count in (1, 5))
    assert describe_data(one) == describe_data(other) == str(one.element_spec)
    wider = tf.data.Dataset.from_tensor_slices(np.zeros((3, 4), "float32")).batch(2)
    assert describe_data(wider) != describe_data(one)


def test_weights_are_told_by_their_shapes():
    model = keras.Sequential([keras.layers.Dense(4)])
    assert describe_weights(model) == "not built"
    model.build((None, 3))
    assert describe_weights(model) == "2 weights: [((3, 4), 'float32'), ((4,), 'float32')]"


def test_versions_are_those_that_the_packages_say():
    versions = package_versions()
    assert versions["tensorflow"] == tf.__version__
    assert versions["keras"] == keras.__version__


@pytest.mark.slow
def test_one_machine_has_nobody_to_agree_with(two_replicas):
    for strategy in (tf.distribute.get_strategy(), two_replicas):
        refuse_unequal_workers(strategy, {"anything": "at all"}, "start")
