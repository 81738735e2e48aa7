"""Keras callbacks that watch a training run; imported when they are first used."""

from __future__ import annotations

import importlib
from typing import Any

_NAMES = {
    "annealing": ("Annealing",),
    "collapse_warning": ("CollapseWarning",),
    "latent_projector": ("LatentProjector",),
    "latent_traversal": ("LatentTraversal",),
    "reconstruction_grid": ("ReconstructionGrid",),
    "sample_grid": ("SampleGrid",),
    "sample_quality": ("FrechetDistance", "KernelDistance"),
    "translation_grid": ("TranslationGrid",),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
