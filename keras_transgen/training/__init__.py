"""The one training core: XLA inside the replica, replicas, workers, seeds, precision, resume.

Names that need TensorFlow are imported when they are first used, so that a figure is drawn and
saved without it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from keras_transgen.training.whole_file import write_whole, write_whole_text

if TYPE_CHECKING:
    from keras_transgen.training.gradients import apply_gradients, gradients_of, loss_weight
    from keras_transgen.training.nan_guard import NaNGuard, NonFiniteLossError
    from keras_transgen.training.trainer import TrainerModel

_HOMES = {
    "NaNGuard": "nan_guard",
    "NonFiniteLossError": "nan_guard",
    "TrainerModel": "trainer",
    "apply_gradients": "gradients",
    "gradients_of": "gradients",
    "loss_weight": "gradients",
}

__all__ = [
    "NaNGuard",
    "NonFiniteLossError",
    "TrainerModel",
    "apply_gradients",
    "gradients_of",
    "loss_weight",
    "write_whole",
    "write_whole_text",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
