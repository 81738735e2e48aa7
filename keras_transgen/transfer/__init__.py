"""Transfer of pretrained networks to new tasks: features, parameters and structure."""

from __future__ import annotations

import importlib
from typing import Any

_PARTS = ("subspace",)
# Imported at first use: each kind brings libraries that the others do not need.
_HOMES = {
    "TransferModel": "transfer_model",
    "FeatureTransfer": "feature",
    "ParameterTransfer": "parameter",
    "StructureTransfer": "structure",
    "copy_parameters": "deltas.copy",
    "few_shot_evaluation": "few_shot",
    "find_learning_rate": "learning_rate_finder",
}

__all__ = [*_PARTS, *_HOMES]


def __getattr__(name: str) -> Any:
    if name in _PARTS:
        return importlib.import_module(f"keras_transgen.transfer.{name}")
    if name in _HOMES:
        module = importlib.import_module(f"keras_transgen.transfer.{_HOMES[name]}")
        return getattr(module, name)
    raise AttributeError(f"module 'keras_transgen.transfer' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
