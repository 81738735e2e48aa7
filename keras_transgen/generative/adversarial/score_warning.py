"""A warning where a discriminator's scores run away, and say no more how real something is."""

from __future__ import annotations

import warnings
from typing import Any

import keras

# There a sigmoid is within 3e-7 of its end, and its slope with it.
_LARGEST = 15.0
#: Losses under which scores have no scale of their own that could run away.
_OF_ANY_SCALE = ("wasserstein",)


class ScoreWarning(keras.callbacks.Callback):
    """Warns once if the mean score of real examples or of samples is beyond 15 after an epoch.

    On photographs without a gradient penalty the mean score of real ones rose to 24 in 40 steps;
    with `gradient_penalty="r1"` it stays at 3 (benchmarks/gan_scores.py).

    Args:
        loss: The setting of the model's loss; a Wasserstein critic's scores may be of any size.
    """

    def __init__(self, loss: Any) -> None:
        super().__init__()
        self._told = not isinstance(loss, str) or loss in _OF_ANY_SCALE

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        scores = {name: float((logs or {}).get(name, 0.0)) for name in ("real_score", "fake_score")}
        if self._told or not max(map(abs, scores.values())) > _LARGEST:
            return
        self._told = True
        told = ", ".join(f"{name} {score:.3g}" for name, score in scores.items())
        warnings.warn(
            "The discriminator's scores run away: so far from 0 they hardly teach the generator. "
            "Take gradient_penalty='r1', which holds them, augmentation=, or a lower rate of the "
            f"discriminator's optimizer. Epoch {epoch + 1}: {told}",
            stacklevel=2,
        )
