"""The small network that comes with the package: handwriting features for grey images."""

from importlib import resources
from typing import Any

import keras

from keras_transgen.backbones.keras_model import KerasBackbone

# Every image is brought to this size, whatever it comes in.
WORKING_SIZE = 16
FEATURES = 128
WEIGHTS = "digits.keras"


def digits_network() -> keras.Model:
    """The architecture, with fresh weights.

    Returns:
        A model from images `[batch, size, size, 1]` of any size, values in [0, 1], to features
        `[batch, 128]`; 139,000 parameters.
    """
    image = keras.Input((None, None, 1), name="image")
    x = keras.layers.Resizing(WORKING_SIZE, WORKING_SIZE, name="working_size")(image)
    for block, filters in enumerate((32, 64, FEATURES), start=1):
        for half in ("a", "b") if filters < FEATURES else ("a",):
            name = f"block{block}_{half}"
            x = keras.layers.Conv2D(
                filters, 3, padding="same", use_bias=False, name=f"{name}_conv"
            )(x)
            x = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
            x = keras.layers.ReLU(name=f"{name}_relu")(x)
        if filters < FEATURES:
            x = keras.layers.MaxPooling2D(name=f"block{block}_pool")(x)
    features = keras.layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(image, features, name="digits")


def digits_backbone(**kwargs: Any) -> KerasBackbone:
    """The shipped network with its trained weights, fresh from its file.

    Args:
        **kwargs: As in `KerasBackbone`: `trainable`, `normalization`, `output_layers`, ...
    """
    with resources.as_file(resources.files(__package__) / WEIGHTS) as file:
        network = keras.saving.load_model(file, compile=False)
    return KerasBackbone(network, **{"value_range": (0.0, 1.0), "name": "digits", **kwargs})
