"""Two players' optimizers, where Keras' callbacks look for one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


class PlayersOptimizers:
    """What `model.optimizer` is of a model that trains by several.

    Keras' `ReduceLROnPlateau`, `LearningRateScheduler` and `TensorBoard` treat each of `optimizers`
    on its own. It trains nothing, and files hold the optimizers themselves.

    Args:
        optimizers: The optimizers, built.
    """

    built = True

    def __init__(self, optimizers: Sequence[keras.optimizers.Optimizer]) -> None:
        self.optimizers = tuple(optimizers)

    @property
    def iterations(self) -> Any:
        """Steps that the first has taken."""
        return self.optimizers[0].iterations

    @property
    def variables(self) -> list[keras.Variable]:
        """The states of all."""
        return [variable for each in self.optimizers for variable in each.variables]
