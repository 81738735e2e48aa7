import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.backbones.adopted_variable import AdoptedVariable


def test_storage_is_the_given_variable_and_no_copy():
    # Keras keeps a tf.Variable given as initial value; it documents that nowhere. When this
    # fails, that has changed, and AdoptedVariable needs another way in.
    storage = tf.Variable([1.0, 2.0])
    assert AdoptedVariable(storage, path="a").value is storage


def test_assignment_reaches_a_function_that_captured_the_storage():
    storage = tf.Variable([1.0, 2.0])
    read = tf.function(lambda: storage * 10.0)
    assert read().numpy().tolist() == [10.0, 20.0]
    AdoptedVariable(storage, path="a").assign([3.0, 4.0])
    assert read().numpy().tolist() == [30.0, 40.0]


def test_name_path_and_flag():
    variable = AdoptedVariable(tf.Variable(0.0), path="block_1/kernel", trainable=False)
    assert (variable.path, variable.name, variable.trainable) == ("block_1/kernel", "kernel", False)
    assert AdoptedVariable(tf.Variable(0.0, trainable=False), path="a").trainable is False


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "bool"])
def test_dtype_is_the_storages(dtype):
    assert AdoptedVariable(tf.Variable(tf.zeros([2], dtype)), path="a").dtype == dtype


def test_refuses_what_is_no_variable():
    with pytest.raises(ValueError, match=r"Received: storage=1\.0"):
        AdoptedVariable(1.0, path="a")


def test_optimizer_moves_the_storage():
    storage = tf.Variable([1.0, 2.0])
    variable = AdoptedVariable(storage, path="a")
    keras.optimizers.SGD(0.5).apply([tf.constant([2.0, 4.0])], [variable])
    assert storage.numpy().tolist() == [0.0, 0.0]


def test_is_tracked_and_regularised_as_a_weight_of_a_layer():
    class Holder(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.adopted = [AdoptedVariable(tf.Variable([3.0, 4.0]), path="kernel")]

    layer = Holder()
    assert layer.trainable_weights == layer.adopted
    layer.adopted[0].regularizer = keras.regularizers.L2(0.1)
    np.testing.assert_allclose(layer.losses[0], 2.5, rtol=1e-6)
    layer.trainable = False
    assert layer.trainable_weights == []
    assert layer.losses == []


def test_does_not_cast_itself_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    storage = tf.Variable([1.0, 2.0])
    variable = AdoptedVariable(storage, path="kernel")
    seen = []

    class Reader(keras.layers.Layer):
        def call(self, inputs):
            seen.append(variable.value)
            return inputs

    Reader()(tf.ones([1, 1]))
    assert seen == [storage]


def test_distributed_storage(two_replicas):
    with two_replicas.scope():
        storage = tf.Variable([1.0, 2.0])
        variable = AdoptedVariable(storage, path="a")
        variable.assign([3.0, 4.0])
    assert variable.value is storage
    assert [copy.numpy().tolist() for copy in storage.values] == [[3.0, 4.0]] * 2
