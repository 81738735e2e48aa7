"""Models that learn the distribution of data and draw from it.

Names are imported when they are first used: the VAE needs TensorFlow Probability, GANs do not.
"""

from __future__ import annotations

import importlib
from typing import Any

_PARTS = ("beta_schedules", "kl", "likelihoods", "networks", "priors")
_NAMES = {
    "generative_model": ("GenerativeModel",),
    "vae": ("VAE",),
    "gan": ("GAN",),
    "conditional_gan": ("ConditionalGAN",),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [*_PARTS, *_HOMES]


def __getattr__(name: str) -> Any:
    if name in _PARTS:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
