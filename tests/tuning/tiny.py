"""What the tests of searches share: a network that builds in milliseconds, and few digits."""

import keras
import numpy as np

import keras_transgen as ktg


def tiny_network() -> keras.Model:
    """A convolution, its normalisation and a dense layer, on 8x8 grey images."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, strides=2, name="conv"),
            keras.layers.BatchNormalization(name="bn"),
            keras.layers.ReLU(name="relu"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(8, name="dense"),
        ],
        name="tiny",
    )


def few_digits(count: int = 60, held_out: int = 40):
    """`(x, y), (x, y)` of real digits."""
    images, labels = ktg.datasets.load_digits()
    images = np.asarray(images, "float32")
    last = count + held_out
    return (images[:count], labels[:count]), (images[count:last], labels[count:last])
