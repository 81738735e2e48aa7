"""Tiny backbones and data for the tests of this room."""

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.backbones import KerasBackbone

RNG = np.random.default_rng(7)
IMAGES = RNG.uniform(size=(24, 8, 8, 1)).astype("float32")
LABELS = np.arange(24) % 3
IMAGES[np.arange(24), LABELS * 2] += 1.0
IMAGES = (IMAGES / IMAGES.max()).astype("float32")


def network(seed: int = 3) -> keras.Model:
    def initializer(offset):
        return keras.initializers.GlorotUniform(seed=seed + offset)

    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(
        4, 3, strides=2, name="stem_conv", use_bias=False, kernel_initializer=initializer(0)
    )(inputs)
    x = keras.layers.BatchNormalization(name="stem_bn")(x)
    x = keras.layers.ReLU(name="stem_relu")(x)
    x = keras.layers.Conv2D(
        5, 2, name="block_1_conv", activation="relu", kernel_initializer=initializer(1)
    )(x)
    x = keras.layers.Conv2D(
        6, 2, name="block_2_conv", activation="relu", kernel_initializer=initializer(2)
    )(x)
    return keras.Model(inputs, x, name="tiny")


def backbone(**kwargs) -> KerasBackbone:
    return KerasBackbone(network(), name="tiny_backbone", value_range=(0.0, 1.0), **kwargs)


@keras.saving.register_keras_serializable(package="tests")
class CountedRows(keras.layers.Layer):
    """Passes its input on, and counts the rows."""

    seen = 0

    def call(self, x):
        def count(rows):
            CountedRows.seen += int(rows)

        with tf.control_dependencies([tf.py_function(count, [tf.shape(x)[0]], [])]):
            return tf.identity(x)


def counting_backbone():
    inputs = keras.Input((8, 8, 1))
    counted = keras.Model(inputs, network()(CountedRows()(inputs)))
    return KerasBackbone(counted, name="counting", value_range=(0.0, 1.0))
