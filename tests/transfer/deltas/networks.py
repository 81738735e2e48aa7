"""One tiny network twice: as a Keras model and as a SavedModel, for the tests of deltas."""

import functools
import tempfile

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.backbones import KerasBackbone, SavedModelBackbone

RNG = np.random.default_rng(11)
IMAGES = RNG.uniform(size=(24, 8, 8, 1)).astype("float32")
LABELS = np.arange(24) % 3
IMAGES[np.arange(24), LABELS * 2] = 1.0

_SHAPES = {
    "stem_conv/kernel": (3, 3, 1, 4),
    "stem_bn/gamma": (4,),
    "stem_bn/beta": (4,),
    "block_1_depthwise/kernel": (3, 3, 4, 1),
    "block_1_project/kernel": (1, 1, 4, 6),
    "block_1_project/bias": (6,),
    "block_2_dense/kernel": (6, 5),
    "block_2_dense/bias": (5,),
}
_STATISTICS = {"stem_bn/moving_mean": (4,), "stem_bn/moving_variance": (4,)}


def values(seed: int = 5) -> dict[str, np.ndarray]:
    """Values of the network's variables: nothing is zero or one, so that nothing hides."""
    rng = np.random.default_rng(seed)
    return {
        path: rng.uniform(0.2, 1.0, shape).astype("float32") * (1 if len(shape) < 2 else 0.6)
        for path, shape in {**_SHAPES, **_STATISTICS}.items()
    }


def keras_backbone(seed: int = 5, width: int = 5, **kwargs) -> KerasBackbone:
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, strides=2, use_bias=False, name="stem_conv")(inputs)
    x = keras.layers.BatchNormalization(name="stem_bn")(x)
    x = keras.layers.ReLU(name="stem_relu")(x)
    x = keras.layers.DepthwiseConv2D(3, use_bias=False, name="block_1_depthwise")(x)
    x = keras.layers.Conv2D(6, 1, activation="relu", name="block_1_project")(x)
    x = keras.layers.Dense(width, name="block_2_dense")(x)
    network = keras.Model(inputs, x, name="tiny")
    if width == 5:
        for weight in network.weights:
            weight.assign(values(seed)[weight.path])
    return KerasBackbone(network, name="tiny_keras", value_range=(0.0, 1.0), **kwargs)


class TinyModule(tf.Module):
    """The same network without Keras."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        given = values(seed)
        self.trainable_variables_by_path = {
            path: tf.Variable(given[path], name=path) for path in _SHAPES
        }
        self.statistics = {
            path: tf.Variable(given[path], trainable=False, name=path) for path in _STATISTICS
        }

    @tf.function
    def __call__(self, images, training=False):
        v = {**self.trainable_variables_by_path, **self.statistics}
        x = tf.nn.conv2d(images, v["stem_conv/kernel"], 2, "VALID")
        mean, variance = v["stem_bn/moving_mean"], v["stem_bn/moving_variance"]
        if training:
            batch_mean, batch_variance = tf.nn.moments(x, [0, 1, 2])
            mean.assign(0.9 * mean + 0.1 * batch_mean)
            variance.assign(0.9 * variance + 0.1 * batch_variance)
            mean, variance = batch_mean, batch_variance
        x = tf.nn.batch_normalization(
            x, mean, variance, v["stem_bn/beta"], v["stem_bn/gamma"], 1e-3
        )
        x = tf.nn.relu(x)
        x = tf.nn.depthwise_conv2d(x, v["block_1_depthwise/kernel"], [1, 1, 1, 1], "VALID")
        x = tf.nn.conv2d(x, v["block_1_project/kernel"], 1, "VALID")
        x = tf.nn.relu(x + v["block_1_project/bias"])
        return tf.tensordot(x, v["block_2_dense/kernel"], 1) + v["block_2_dense/bias"]


@functools.cache
def module_folder(seed: int = 5) -> str:
    folder = tempfile.mkdtemp(prefix="tiny_module_")
    module = TinyModule(seed)
    for training in (False, True):
        module.__call__.get_concrete_function(
            tf.TensorSpec([None, 8, 8, 1], tf.float32), training=training
        )
    tf.saved_model.save(module, folder)
    return folder


def saved_backbone(seed: int = 5, **kwargs) -> SavedModelBackbone:
    return SavedModelBackbone(module_folder(seed), name="tiny_saved", **kwargs)


BACKBONES = {"keras": keras_backbone, "saved": saved_backbone}
