"""One digest of what a network computes: its structure and its weights, and no names."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np

# Where a string is a layer's name.
_WIRING = ("name", "keras_history", "input_layers", "output_layers")
_COUNTED = re.compile(r"_\d+$")
_WITHOUT_EFFECT = ("trainable", "build_config", "compile_config", "shared_object_id")


def digest_of(structure: str, weights: Iterable[keras.Variable]) -> str:
    """Hash of a structure and of the present values of weights, as 64 hexadecimal digits."""
    total = hashlib.sha256(structure.encode())
    for weight in weights:
        values = np.ascontiguousarray(keras.ops.convert_to_numpy(weight.value))
        total.update(f"{values.dtype.name}{values.shape}".encode())
        total.update(values.tobytes())
    return total.hexdigest()


def layer_digest(layer: keras.layers.Layer) -> str:
    """Hash of what a layer computes: its own `digest()`, else of its structure and weights.

    A layer with a digest of its own gives what it computes in the type of its policy, which is none
    of its network's; and what layers keep beside their weights, such as a vocabulary, counts too.
    """
    if hasattr(layer, "digest"):
        policy = layer.dtype_policy.name
        found = layer.digest()
        return found if policy == "float32" else _hash(f"{found} {policy}")
    found = digest_of(structure_of(layer), layer.weights)
    assets = _assets_of(layer)
    return _hash(f"{found} {assets}") if assets else found


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _assets_of(layer: keras.layers.Layer) -> list[str]:
    """A hash of what each layer in this one would write into a file besides weights, in order."""
    found = []
    for each in layer._flatten_layers():
        if hasattr(each, "digest") or not hasattr(each, "save_assets"):
            continue
        with tempfile.TemporaryDirectory() as folder:
            each.save_assets(folder)
            files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
            found += [
                f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}"
                for path in files
            ]
    return found


def structure_of(layer: keras.layers.Layer) -> str:
    """A layer's configuration, in words that do not depend on how it and those in it are called."""
    config = keras.saving.serialize_keras_object(layer)
    names = {name: f"layer_{place}" for place, name in enumerate(_names_in(config))}
    counted = {name: place for name, place in names.items() if _COUNTED.search(name)}
    return json.dumps(_renamed(config, names, counted), sort_keys=True, default=str)


def _names_in(config: Any) -> list[str]:
    """The names of all layers in a configuration, in order, each once."""
    if isinstance(config, dict) and config.get("class_name") != "DTypePolicy":
        own = config.get("name")
        inner = [name for value in config.values() for name in _names_in(value)]
        return list(dict.fromkeys([own, *inner] if isinstance(own, str) else inner))
    if isinstance(config, (list, tuple)):
        return list(dict.fromkeys(name for value in config for name in _names_in(value)))
    return []


def _renamed(
    config: Any, names: dict[str, str], counted: dict[str, str], is_wiring: bool = False
) -> Any:
    """The configuration without what no output depends on, its layers called by their place.

    A word outside of the wiring is no layer because one bears it: `tanh` may be an activation. Only
    names that Keras counts up are taken for layers everywhere, since they differ in each process.
    """
    if isinstance(config, dict):
        return {
            names.get(key, key): _renamed(value, names, counted, is_wiring or key in _WIRING)
            for key, value in config.items()
            if key not in _WITHOUT_EFFECT
        }
    if isinstance(config, (list, tuple)):
        return [_renamed(value, names, counted, is_wiring) for value in config]
    known = names if is_wiring else counted
    return known.get(config, config) if isinstance(config, str) else config
