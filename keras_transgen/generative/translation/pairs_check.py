"""Inputs and targets must be pairs."""

from __future__ import annotations

from typing import Any

from keras_transgen.training.batches import is_arrays


def check_pairs(inputs: Any, targets: Any, model: str) -> None:
    """Refuse an array of inputs and one of targets that cannot be pairs."""
    if is_arrays(inputs) and is_arrays(targets) and len(inputs) != len(targets):
        raise ValueError(
            f"{model} learns from pairs: the target of each input stands at the same place. For "
            f"images without partners use CycleGAN. Received: {len(inputs)} inputs and "
            f"{len(targets)} targets"
        )
