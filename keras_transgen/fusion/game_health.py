"""Warnings of a semi-supervised GAN without labels or a game, or whose game has been won."""

from __future__ import annotations

import warnings
from typing import Any

import keras

WON_BELOW = 0.02
FAR_ABOVE = 10.0


class GameHealth(keras.callbacks.Callback):
    """Warns once after an epoch whose unlabelled loss is near 0 and matching loss is above 10.

    Where a classifier of MNIST gained, the unlabelled loss stayed between 0.25 and 0.45; where the
    generator had a sigmoid, the first sign came, then the second, and the gain was nil.

    It also warns where both are exactly 0: no row of the epoch was without a label; and where the
    supervised loss and the accuracy are: none had one.
    """

    def __init__(self) -> None:
        super().__init__()
        self._told = False

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        unlabelled, matching = logs.get("unlabelled_loss"), logs.get("matching_loss")
        if self._told or unlabelled is None or matching is None:
            return
        if float(matching) == 0.0 and float(unlabelled) == 0.0:
            self._told = True
            warnings.warn(
                "Every row had a label, so that the generator did not train and nothing was learnt "
                "but from the labels. In a data set, examples without a label have the label -1; "
                "give arrays, and those with a label count as examples without one, too. "
                f"Epoch {epoch + 1}: unlabelled_loss 0, matching_loss 0",
                stacklevel=2,
            )
            return
        if logs.get("supervised_loss") == 0.0 and logs.get("accuracy") == 0.0:
            self._told = True
            warnings.warn(
                "No row of this epoch had a label, so that no class was learnt: supervised_loss "
                "and accuracy are 0 of nothing. Give some examples their labels, and mix them "
                f"with the others. Epoch {epoch + 1}: labels all -1",
                stacklevel=2,
            )
            return
        if float(unlabelled) < WON_BELOW and float(matching) > FAR_ABOVE:
            self._told = True
            warnings.warn(
                "The discriminator tells all generated examples from real ones, and the generator "
                "no longer comes near: what is learnt now comes from the labels alone. Take "
                "generator_output='softplus' or 'linear', more input_noise, or a lower rate of the "
                f"discriminator's optimizer. Epoch {epoch + 1}: unlabelled_loss "
                f"{float(unlabelled):.3g}, matching_loss {float(matching):.3g}",
                stacklevel=2,
            )
