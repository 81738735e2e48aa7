"""Presets and tasks of KerasHub, which is imported only where somebody has one."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import keras

from keras_transgen.backbones.keras_archive import parsed_config
from keras_transgen.backbones.text_preset import strings_to_features
from keras_transgen.training.config_from_file import nested_in
from keras_transgen.training.config_numbers import check_numbers
from keras_transgen.training.refusal import refusals
from keras_transgen.training.variable_limit import limit_variables, variables_for
from keras_transgen.training.weight_file import check_weight_file

_CONFIG, _METADATA = "config.json", "metadata.json"
_INSTALL = "pip install 'keras-transgen[kerashub]'"
_PREPROCESSORS = ("TextClassifierPreprocessor", "CausalLMPreprocessor")


def is_installed() -> bool:
    """Whether KerasHub can be imported; it is not imported for the answer."""
    return importlib.util.find_spec("keras_hub") is not None


def is_preset(source: str) -> bool:
    """Whether a text names a preset: its folder, its place at a hub, or its name in KerasHub."""
    scheme, _, rest = source.partition("://")
    if rest:
        parts = rest.split("/")
        return scheme == "hf" or (scheme == "kaggle" and len(parts) > 2 and parts[2] == "keras")
    folder = Path(source)
    if folder.is_dir():
        other = (folder / "saved_model.pb").exists() or _is_unpacked_keras_file(folder)
        return (folder / _CONFIG).is_file() and not other
    return "/" not in source and is_installed() and source in _known()


def _is_unpacked_keras_file(folder: Path) -> bool:
    """Such a folder tells Keras' version alone; a preset KerasHub's, or has no metadata."""
    try:
        told = json.loads((folder / _METADATA).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return "keras_version" in told and not {"keras_hub_version", "keras_nlp_version"} & set(told)


def features_of_task(model: keras.Model) -> keras.Model | None:
    """The backbone of a KerasHub task, strings in; `None` for every other model."""
    hub = sys.modules.get("keras_hub")
    if hub is None or not isinstance(model, hub.models.Task):
        return None
    if model.preprocessor is None or getattr(model.preprocessor, "tokenizer", None) is None:
        return model.backbone
    return strings_to_features(model.backbone, model.preprocessor)


def preset_network(source: str) -> keras.Model:
    """The backbone of a preset, with its preprocessor where it reads texts.

    Args:
        source: A folder that `save_to_preset` wrote, `kaggle://...`, `hf://...` or a name.

    Raises:
        ValueError: KerasHub is absent, the preset cannot be fetched, or holds more than a network.
    """
    if not is_installed():
        raise ValueError(
            f"A preset of KerasHub needs keras-hub: {_INSTALL}. Received: source={source!r}"
        )
    models = _models()
    with refusals(f"The preset {source!r}"):
        folder = _folder(source)
        limits = _checked(folder)
        with limit_variables(*limits):
            backbone = models.Backbone.from_preset(str(folder))
            preprocessor = _preprocessor(models, type(backbone), folder)
    return backbone if preprocessor is None else strings_to_features(backbone, preprocessor)


def _models() -> Any:
    return importlib.import_module("keras_hub").models


def _known() -> dict[str, Any]:
    return _models().Backbone.presets


def _folder(source: str) -> Path:
    """Where a preset lies on this machine, fetched by its hub's own client."""
    handle = source if "://" in source or Path(source).is_dir() else _known()[source]
    handle = handle["kaggle_handle"] if isinstance(handle, dict) else handle
    scheme, _, rest = handle.partition("://")
    try:
        if scheme == "kaggle" and rest:
            return Path(importlib.import_module("kagglehub").model_download(rest))
        if scheme == "hf" and rest:
            return Path(importlib.import_module("huggingface_hub").snapshot_download(rest))
    except Exception as error:
        raise ValueError(
            "The preset could not be fetched: check its name, the network, and whether its terms "
            f"are accepted. Received: source={source!r}, {type(error).__name__}: {error}"
        ) from error
    return Path(handle)


def _checked(folder: Path) -> tuple[int, int]:
    """What the variables may take; the preset describes what computes and nothing else."""
    files = [path for path in folder.rglob("*.weights.h5") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    weights = sum(check_weight_file(path, str(path), path.stat().st_size) for path in files)
    for path in sorted(folder.glob("*.json")):
        config = parsed_config(path.read_bytes(), ".json")
        if path.name != _METADATA:
            check_numbers(config, size, weights)
        _refuse_ways_out(config, path)
    return variables_for(size, weights)


def _refuse_ways_out(config: Any, path: Path) -> None:
    """A preset's files lie in its folder."""
    for each in nested_in(config):
        if isinstance(each, dict) and isinstance(each.get("config_file"), str):
            named = Path(each["config_file"])
            if named.is_absolute() or ".." in named.parts:
                raise ValueError(
                    "A preset names files within its folder only. Get it again from where it was "
                    f"published. Received: {path} with config_file={str(named)!r}"
                )


def _preprocessor(models: Any, kind: type, folder: Path) -> Any:
    """The preprocessor of a backbone of texts, or `None` for one of images."""
    for name in _PREPROCESSORS:
        known = getattr(models, name)
        if any(each.backbone_cls is kind for each in _below(known)):
            return known.from_preset(str(folder))
    return None


def _below(kind: type) -> list[Any]:
    direct: list[Any] = kind.__subclasses__()
    return direct + [each for below in direct for each in _below(below)]
