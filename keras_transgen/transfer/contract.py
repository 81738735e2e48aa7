"""What the pieces of a transfer model, which stand below it, need of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np


class FeatureModel(Protocol):
    """Raw input to features to logits, and a check of the labels.

    Caching of features, fitting of a head and serving take any model that has these.

    Attributes:
        backbone: The pretrained network.
        preprocessing: Layer that makes the backbone's input of raw input, or `None`.
        augmentation: Layer that alters raw input at random, or `None`.
        feature_join: Layer that makes one vector of the backbone's outputs.
        head: Layer from features to logits.
    """

    backbone: Any
    preprocessing: Any
    augmentation: Any
    feature_join: Any
    head: Any

    @property
    def task(self) -> str:
        """Name of the task."""

    @property
    def num_classes(self) -> int:
        """Number of outputs."""

    @property
    def task_probabilities(self) -> Callable[[Any], Any] | None:
        """Turns logits into probabilities, if the task has any."""

    def __call__(self, inputs: Any, training: bool = False) -> Any:
        """Logits of raw input."""

    def features(self, inputs: Any, training: bool = False, prepared: bool = False) -> Any:
        """What the head receives."""

    def features_state(self) -> str:
        """What the features depend on besides the backbone; empty for nothing."""

    def check_labels(self, y: np.ndarray, whole: bool) -> None:
        """Refuse labels that the head cannot learn."""
