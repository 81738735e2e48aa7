"""Loads a network from an HDF5 file, as Keras 2 saved them, under the checks of `load_model`."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import keras

from keras_transgen.backbones.keras_archive import check_file, parsed_config
from keras_transgen.backbones.private_archive import private_copy
from keras_transgen.datasets.printable import printable
from keras_transgen.training.config_from_file import FileConfigError, nested_in, shown
from keras_transgen.training.config_numbers import check_numbers
from keras_transgen.training.hdf5_texts import bytes_of_texts
from keras_transgen.training.refusal import refusals
from keras_transgen.training.variable_limit import limit_variables, variables_for
from keras_transgen.training.weight_file import WeightFileError, check_weight_file
from keras_transgen.training.zip_limits import MAX_BYTES

HDF5_SUFFIXES = (".h5", ".hdf5")
_CONFIG = "model_config"
# Bytes that its texts may take for each byte of a file.
_TEXTS_PER_BYTE = 4
# Where the classes are that a network's description may name.
_HOMES = (keras.layers, keras.initializers, keras.regularizers, keras.constraints)
_MODELS = ("Functional", "Model", "Sequential")
# Layers that run what a file holds or names.
_RUN_CODE = ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")
# What Keras 3 writes beside classes; `check_objects` has looked at them.
_VALUES = ("__numpy__", "__tensor__", "function", "DTypePolicy")


def load_hdf5_network(
    path: str | os.PathLike[str],
    *,
    custom_objects: dict[str, Any] | None = None,
    safe_mode: bool = True,
    max_bytes: int = MAX_BYTES,
) -> keras.Model:
    """Load a network, without its optimizer, from an HDF5 file that `model.save` of Keras 2 wrote.

    Args:
        path: The `.h5` or `.hdf5` file.
        custom_objects: As in `keras.saving.load_model`.
        safe_mode: Whether to refuse lambdas and other layers that run code out of a file. Defaults
            to True.
        max_bytes: How many bytes the file may have. Defaults to 16 GiB.

    Returns:
        The network.

    Raises:
        ValueError: The file is absent, too large, no HDF5 file, holds weights alone, leads to
            other files, or describes what is no network.
    """
    file = Path(path)
    with refusals(f"The HDF5 file {str(file)!r}"):
        check_file(file, HDF5_SUFFIXES)
        with private_copy(file, max_bytes) as copy:
            size = copy.stat().st_size
            weights = check_weight_file(copy, str(file), size, lists_of_texts=True)
            _refuse_long_texts(copy, str(file))
            config = _config_in(copy, str(file))
            _check_classes(config, custom_objects or {}, safe_mode)
            check_numbers(config, size)
            with limit_variables(*variables_for(size, weights)):
                return keras.saving.load_model(
                    copy, custom_objects=custom_objects, compile=False, safe_mode=safe_mode
                )


def _refuse_long_texts(file: Path, name: str) -> None:
    """Refuse a file whose texts take more than four times its size."""
    size, texts = file.stat().st_size, bytes_of_texts(file)
    if texts > _TEXTS_PER_BYTE * size:
        raise WeightFileError(
            "The texts of an HDF5 file take no more memory than the file, four times at most. Get "
            f"it again from where it was made. Received: {name} of {size:,} bytes with {texts:,}"
        )


def _config_in(file: Path, name: str) -> Any:
    with h5py.File(file, "r") as opened:
        text = opened.attrs.get(_CONFIG)
    if text is None:
        raise ValueError(
            "This HDF5 file holds weights alone, and no network. Build the network in Python, call "
            f"its load_weights, and pass it in the place of the file. Received: path={name!r}"
        )
    return parsed_config(text.encode() if isinstance(text, str) else bytes(text), ".h5")


def _check_classes(config: Any, custom_objects: dict[str, Any], safe_mode: bool) -> None:
    """Refuse classes that run code, and those that nobody knows.

    Keras 2 named no modules: what a name stands for is looked up among much that is no layer.
    """
    for each in nested_in(config):
        if not isinstance(each, Mapping) or "class_name" not in each:
            continue
        name = each["class_name"]
        if name in _RUN_CODE or name == "__lambda__":
            if not safe_mode:
                continue
            raise FileConfigError(
                "The network in this file runs code out of the file, in a layer of class "
                f"{printable(name)}. If you trust whoever made it, load it with safe_mode=False. "
                f"Received: {shown(name)}"
            )
        if not _is_known(name, custom_objects):
            raise FileConfigError(
                "The network in this file has a layer that is not known here. Import the file that "
                "defines and registers it, or pass it in custom_objects=. "
                f"Received: class_name={shown(name)}"
            )


def _is_known(name: Any, custom_objects: dict[str, Any]) -> bool:
    if not isinstance(name, str):
        return False
    if name in _MODELS or name in _VALUES:
        return True
    if keras.saving.get_registered_object(name, custom_objects) is not None:
        return True
    return any(inspect.isclass(getattr(home, name, None)) for home in _HOMES)
