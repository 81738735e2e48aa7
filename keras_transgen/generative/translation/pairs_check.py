"""Inputs and targets must be pairs."""

from __future__ import annotations

from typing import Any

from keras_transgen.training.batches import is_arrays


def check_pairs(inputs: Any, targets: Any, model: str) -> None:
    """Refuse arrays of inputs and targets that cannot be pairs.

    Args:
        inputs: What the user handed in first; anything but an array is let pass.
        targets: What came second.
        model: Name of the model, for the message.

    Raises:
        ValueError: If there are no targets, or another number of them.
    """
    if not is_arrays(inputs):
        return
    if targets is None:
        raise ValueError(
            f"{model} learns from pairs: give the targets as the second argument, fit(inputs, "
            "targets). For images without partners use CycleGAN. Received: no targets"
        )
    if is_arrays(targets) and len(inputs) != len(targets):
        raise ValueError(
            f"{model} learns from pairs: the target of each input stands at the same place. For "
            f"images without partners use CycleGAN. Received: {len(inputs)} inputs and "
            f"{len(targets)} targets"
        )
