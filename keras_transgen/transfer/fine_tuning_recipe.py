"""At which rate to fine-tune, and how far to leave the probe: found on held-out examples."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Half decades from a rate that moves almost nothing to one that destroys.
RATES = (3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
# Shares of the way from the probe to the tuned weights that are compared.
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
# Steps of a short trial.
SHORT = 12
# Held-out examples that tell two losses apart.
ENOUGH = 200
# More of them only cost time.
MOST_HELD_OUT = 2000
# Steps of the longest trial.
MOST_STEPS = 500
# A network of this many parameters is tried on fewer folds.
LARGE = 10**6
FOLDS_OF_A_LARGE_NETWORK = 2


@dataclasses.dataclass(frozen=True)
class Trial:
    """One rate, tried as long as the training will be.

    Attributes:
        learning_rate: Its highest learning rate.
        losses: Mean held-out loss in nats at each of `SHARES`, at the best temperature.
        falls: How far each lies below the probe's, in nats.
        errors: Standard error of each fall, over held-out examples.
    """

    learning_rate: float
    losses: tuple[float, ...]
    falls: tuple[float, ...]
    errors: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class FineTuningRecipe:
    """What was tried before a fine-tuning, and what was chosen.

    Attributes:
        learning_rate: The highest learning rate of the training.
        share: How far the weights go from the probe's to the tuned ones, from 0 (the probe is
            kept, and nothing trained) to 1.
        rates: Rates of the short trials.
        short_losses: Held-out loss after each of them, `nan` where it was not finite.
        probe_loss: Held-out loss of the linear probe.
        trials: The whole trials.
        folds: Models that were trained for each whole trial; 0 where validation data judged.
        held_out: Number of held-out examples.
        went_astray: Whether the training on all examples ended where they have a higher loss than
            held-out ones have at the probe. The probe was put back, and `share` is 0.
    """

    learning_rate: float
    share: float
    rates: tuple[float, ...]
    short_losses: tuple[float, ...]
    probe_loss: float
    trials: tuple[Trial, ...]
    folds: int
    held_out: int
    went_astray: bool = False

    @property
    def kept_probe(self) -> bool:
        """Whether no fine-tuning was clearly better than the probe."""
        return self.share == 0.0

    def __str__(self) -> str:
        if self.went_astray:
            return (
                f"kept the probe: the training at rate {self.learning_rate:.2g} ended far from "
                "where its trials had ended. Give a lower learning_rate, or more examples"
            )
        judges = f"{self.held_out} validation examples"
        if self.folds:
            judges = f"{self.held_out} examples in {self.folds} fold{'s' * (self.folds > 1)}"
        if self.kept_probe:
            return (
                "kept the probe: no fine-tuning had a clearly lower held-out loss than its "
                f"{_short(self.probe_loss)} ({judges}; losses at the best temperature)"
            )
        (trial,) = [each for each in self.trials if each.learning_rate == self.learning_rate]
        at = SHARES.index(self.share)
        return (
            f"learning rate {self.learning_rate:.2g}, {self.share:.0%} of the way from the probe: "
            f"held-out loss {_short(trial.losses[at])}, below the probe's by "
            f"{_short(trial.falls[at])} +- {_short(trial.errors[at])} ({judges}; losses at the "
            "best temperature)"
        )

    def plot(self) -> Figure:
        """Held-out losses over the rate and over the way from the probe, as a Matplotlib figure."""
        from keras_transgen.plotting import plot_fine_tuning_recipe

        return plot_fine_tuning_recipe(
            rates=self.rates,
            short_losses=self.short_losses,
            shares=SHARES,
            trials={each.learning_rate: (each.losses, each.errors) for each in self.trials},
            probe_loss=self.probe_loss,
            chosen=(self.learning_rate, self.share),
        )


def _short(number: float) -> str:
    """A number in three digits, never as a power of ten unless it is tiny."""
    if not math.isfinite(number) or 0.0 < abs(number) < 1e-4:
        return f"{number:.2g}"
    digits = max(2 - math.floor(math.log10(abs(number))), 0) if number else 0
    return f"{number:.{min(digits, 6)}f}"


def is_large(model: Any) -> bool:
    """Whether passes over a model's network cost much.

    Args:
        model: A transfer model.
    """
    return sum(math.prod(weight.shape) for weight in model.backbone.weights) >= LARGE
