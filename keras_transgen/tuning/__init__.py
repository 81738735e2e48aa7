"""Keras Tuner searches over every model of the package; imported when they are first used."""

from __future__ import annotations

import importlib
from typing import Any

_NAMES = {
    "chief": ("wait_for_chief",),
    "conditional_gan": ("ConditionalGANHyperModel",),
    "gan": ("GANHyperModel",),
    "transfer": ("TransferHyperModel",),
    "trials": ("trial_table",),
    "vae": ("VAEHyperModel",),
    "worker_watch": ("watch_workers",),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
