"""A model as bytes, so that it reaches processes on other machines without a shared folder."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import keras

from keras_transgen.backbones import load_model

_FILE = "model.keras"


def pack_model(model: keras.Model | str | os.PathLike[str]) -> bytes:
    """The bytes of a model's `.keras` file, with the modules that it stands on."""
    if isinstance(model, (str, os.PathLike)):
        return Path(model).read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, _FILE)
        model.save(file)
        return file.read_bytes()


def unpack_model(packed: bytes, **options: Any) -> keras.Model:
    """The model again."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, _FILE)
        file.write_bytes(packed)
        return load_model(file, compile=False, **options)


def as_model(backbone: keras.layers.Layer, image_shape: tuple[int, int, int]) -> keras.Model:
    """A model of a backbone alone, for images `[batch, *image_shape]`."""
    images = keras.Input(image_shape, name="images")
    return keras.Model(images, backbone(images))
