"""Models from images to images: of pairs, of two unpaired sets, of a style.

Names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import Any

_NAMES = {
    "pix2pix": ("Pix2Pix",),
    "cyclegan": ("CycleGAN",),
    "image_optimization": ("stylize",),
    "style_transfer": ("StyleTransfer",),
    "vgg": ("vgg_backbone",),
    "enhancement": ("Enhancer",),
    "degradations": ("Degradation", "DegradationPipeline", "Downscaling", "Holes", "Noise"),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
