"""Transfer learning and generative models for Keras 3, through plain `model.fit`.

Public names are imported when they are first used, so that `import keras_transgen` costs little
more than importing Keras and TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_ROOMS = (
    "backbones",
    "callbacks",
    "datasets",
    "distributed",
    "evaluation",
    "fusion",
    "generative",
    "plotting",
    "training",
    "transfer",
    "tuning",
)
_NAMES = {
    "keras_transgen.backbones": (
        "Backbone",
        "InputContract",
        "KerasBackbone",
        "ParameterGroup",
        "SavedModelBackbone",
        "load_backbone",
        "load_model",
    ),
    "keras_transgen.training": ("TrainerModel",),
    "keras_transgen.transfer": (
        "FeatureTransfer",
        "ParameterTransfer",
        "StructureTransfer",
        "TransferModel",
        "copy_parameters",
        "few_shot_evaluation",
        "find_learning_rate",
    ),
    "keras_transgen.generative": ("GAN", "VAE", "ConditionalGAN"),
    "keras_transgen.generative.translation": (
        "CycleGAN",
        "Enhancer",
        "Pix2Pix",
        "StyleTransfer",
        "stylize",
    ),
    "keras_transgen.fusion": ("PerceptualLoss",),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = ["__version__", *_ROOMS, *_HOMES]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"keras_transgen.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'keras_transgen' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
