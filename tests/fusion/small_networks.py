"""Backbones of a few hundred parameters for the tests of this room."""

import keras
import numpy as np

from keras_transgen.backbones import KerasBackbone


def small_backbone(channels: int = 1, size: int = 8) -> KerasBackbone:
    """Three scales, with a normalisation, for images in [0, 1]."""
    layers = [
        keras.Input((size, size, channels)),
        keras.layers.Conv2D(3, 3, strides=2, padding="same", activation="tanh", name="half"),
        keras.layers.Conv2D(4, 3, strides=2, padding="same", name="quarter"),
        keras.layers.BatchNormalization(name="quarter_norm"),
        keras.layers.GlobalAveragePooling2D(name="pooled"),
    ]
    network = keras.Sequential(layers)
    rng = np.random.default_rng(3)
    for weight in network.weights[:4]:
        weight.assign(rng.normal(0.0, 0.6, weight.shape))
    return KerasBackbone(network, value_range=(0.0, 1.0))
