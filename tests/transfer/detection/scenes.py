"""A tiny backbone, and images of bright and dark rectangles with their boxes."""

import keras
import numpy as np

from keras_transgen.backbones import KerasBackbone

SIZE = 16


def network(channels: int = 1) -> keras.Model:
    def convolution(filters, name, seed):
        return keras.layers.Conv2D(
            filters,
            3,
            strides=2,
            padding="same",
            name=name,
            kernel_initializer=keras.initializers.HeNormal(seed=seed),
        )

    inputs = keras.Input((SIZE, SIZE, channels))
    x = keras.layers.BatchNormalization(name="first_bn")(convolution(4, "first", 1)(inputs))
    x = keras.layers.ReLU(name="first_relu")(x)
    x = keras.layers.ReLU(name="second_relu")(convolution(6, "second", 2)(x))
    return keras.Model(inputs, x, name="tiny")


def backbone(channels: int = 1, **kwargs) -> KerasBackbone:
    return KerasBackbone(network(channels), name="tiny_backbone", value_range=(0.0, 1.0), **kwargs)


def scenes(count: int, seed: int = 0, objects: tuple[int, int] = (1, 3)):
    """Images `[count, 16, 16, 1]` of rectangles without overlap, and their padded boxes."""
    random = np.random.default_rng(seed)
    images = np.full((count, SIZE, SIZE, 1), 0.5, "float32")
    boxes = np.zeros((count, objects[1], 4), "float32")
    labels = np.full((count, objects[1]), -1)
    for place in range(count):
        quarters = random.permutation(4)
        for number in range(random.integers(objects[0], objects[1] + 1)):
            corner = np.array([quarters[number] % 2, quarters[number] // 2]) * 8
            start = corner + random.integers(0, 3, 2)
            end = start + random.integers(3, 6, 2)
            label = int(random.integers(0, 2))
            images[place, start[1] : end[1], start[0] : end[0]] = label
            boxes[place, number] = [*start, *end]
            labels[place, number] = label
    return images, {"boxes": boxes, "labels": labels}
