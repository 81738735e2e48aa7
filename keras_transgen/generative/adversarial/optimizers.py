"""Two players' optimizers: which they are by default, and where Keras' callbacks look for one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

_GENERATOR_RATE = 2e-4
_DISCRIMINATOR_RATE = 4e-4


def default_optimizers(
    discriminator: Any,
) -> tuple[keras.optimizers.Optimizer, keras.optimizers.Optimizer]:
    """The optimizers of a model that is compiled without: the generator's and the discriminator's.

    A discriminator with a method `default_optimizers` says which; the others get DCGAN's Adam, with
    twice the rate for the discriminator.

    Args:
        discriminator: Any network.

    Reference:
        Radford et al., Unsupervised representation learning with deep convolutional generative
        adversarial networks, 2016; Heusel et al., GANs trained by a two time-scale update rule
        converge to a local Nash equilibrium, 2017.
    """
    propose = getattr(discriminator, "default_optimizers", None)
    if propose is not None:
        return propose()
    return (
        keras.optimizers.Adam(_GENERATOR_RATE, beta_1=0.5),
        keras.optimizers.Adam(_DISCRIMINATOR_RATE, beta_1=0.5),
    )


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
