"""A small network that sees styles."""

import keras
import numpy as np

from keras_transgen.backbones import KerasBackbone

RNG = np.random.default_rng(0)


def small_backbone(padding: str = "same", **kwargs) -> KerasBackbone:
    """Two convolutions of stride 2 for colour images of 8x8 in [0, 1]."""
    settings = {"strides": 2, "padding": padding, "activation": "leaky_relu"}
    network = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, name="first", **settings),
            keras.layers.Conv2D(6, 3, name="second", **settings),
        ]
    )
    return KerasBackbone(network, value_range=(0.0, 1.0), **kwargs)


def stripes(size: int = 16, width: int = 2) -> np.ndarray:
    """Red and blue stripes, float32 `[size, size, 3]` in [0, 1]."""
    image = np.zeros((size, size, 3), "float32")
    bright = np.arange(size) // width % 2 == 0
    image[bright, :, 0] = 1.0
    image[~bright, :, 2] = 1.0
    return image


def distance_in_numpy(one: np.ndarray, other: np.ndarray) -> float:
    """The mean over examples of the squared distance by the sum of the squared lengths."""
    pairs = zip(one, np.broadcast_to(other, one.shape), strict=True)
    return float(np.mean([((a - b) ** 2).sum() / ((a**2).sum() + (b**2).sum()) for a, b in pairs]))


def gram_in_numpy(maps: np.ndarray) -> np.ndarray:
    """Of feature maps `[batch, height, width, channels]`."""
    return np.einsum("bhwc,bhwd->bcd", maps, maps) / np.prod(maps.shape[1:])
