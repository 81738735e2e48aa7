"""At which rate to fine-tune, and how far to leave the probe: found on held-out examples."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transgen.transfer.lbfgs import losses_and_slopes

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
# The probe is left if the held-out loss falls by more than so many of the fall's standard errors.
_CLEAR = 1.5
# A loss this many times the probe's is a hill.
_HILL = 1.2
# Logarithms of the factors of logits that are tried.
_FACTORS = (-3.0, 3.0)


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
    """

    learning_rate: float
    share: float
    rates: tuple[float, ...]
    short_losses: tuple[float, ...]
    probe_loss: float
    trials: tuple[Trial, ...]
    folds: int
    held_out: int

    @property
    def kept_probe(self) -> bool:
        """Whether no fine-tuning was clearly better than the probe."""
        return self.share == 0.0

    def __str__(self) -> str:
        if self.kept_probe:
            return f"kept the probe (held-out loss {self.probe_loss:.4g} of {self.held_out})"
        (trial,) = [each for each in self.trials if each.learning_rate == self.learning_rate]
        at = SHARES.index(self.share)
        return (
            f"learning rate {self.learning_rate:.2g}, {self.share:.0%} of the way from the probe: "
            f"held-out loss {trial.losses[at]:.4g}, below the probe's by {trial.falls[at]:.2g} "
            f"+- {trial.errors[at]:.1g} ({self.held_out} examples)"
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


def is_large(model: Any) -> bool:
    """Whether passes over a model's network cost much.

    Args:
        model: A transfer model.
    """
    return sum(math.prod(weight.shape) for weight in model.backbone.weights) >= LARGE


def number_of_folds(rows: int, most: int) -> int:
    """As many of five folds as hold out enough examples.

    Args:
        rows: Examples to train on.
        most: Folds that the classes allow, five at most.
    """
    return max(1, min(most, math.ceil(ENOUGH / max(rows / most, 1.0))))


def rate_of_short_trials(losses: np.ndarray) -> int:
    """Index of the rate with the lowest held-out loss; `nan` is none.

    Args:
        losses: Mean held-out loss of each rate `[rates]`.
    """
    return int(np.nanargmin(losses)) if np.isfinite(losses).any() else 0


def before_a_hill(losses: Sequence[float]) -> list[int]:
    """Which shares of the way are reached without a much worse one in between.

    Weights beyond a hill of the loss belong to another basin: where a training ends there it might
    as well have ended elsewhere, which the next one, on other rows, may do.

    Args:
        losses: Mean held-out loss at each of `SHARES`.

    Reference:
        Frankle et al., Linear Mode Connectivity and the Lottery Ticket Hypothesis, 2020.
    """
    reached = []
    for place, loss in enumerate(losses):
        if np.isfinite(loss):
            reached.append(place)
        if not loss <= _HILL * losses[0]:
            break
    return reached


def grows_better(losses: Sequence[np.ndarray]) -> bool:
    """Whether the last of some whole trials is better than the one before it.

    Args:
        losses: Of each trial, `[shares, examples]`, by ascending rate; two or more.
    """
    before, last = (each.mean(axis=1) for each in losses[-2:])
    return min(last[before_a_hill(last)]) < min(before[before_a_hill(before)])


def judged(rate: float, losses: np.ndarray) -> Trial:
    """What a whole trial says.

    Args:
        rate: Its learning rate.
        losses: Loss of each held-out example at each share `[shares, examples]`.
    """
    falls = losses[0] - losses
    count = losses.shape[1]
    deviation = falls.std(axis=1, ddof=1) if count > 1 else np.full(len(losses), np.inf)
    return Trial(
        float(rate),
        tuple(float(each) for each in losses.mean(axis=1)),
        tuple(float(each) for each in falls.mean(axis=1)),
        tuple(float(each) for each in deviation / np.sqrt(count)),
    )


def chosen(trials: tuple[Trial, ...]) -> tuple[float, float]:
    """The rate and the share with the lowest held-out loss, or share 0 where no fall is clear.

    Shares behind a hill are none (`before_a_hill`).

    Args:
        trials: The whole trials.
    """
    loss, rate, at, trial = min(
        (each.losses[at], each.learning_rate, at, each)
        for each in trials
        for at in before_a_hill(each.losses)
    )
    del loss
    if trial.falls[at] <= _CLEAR * trial.errors[at]:
        return rate, 0.0
    return rate, SHARES[at]


def with_losses(
    rates: tuple[float, ...],
    short_losses: Sequence[float],
    losses: dict[float, np.ndarray],
    folds: int,
) -> FineTuningRecipe:
    """The recipe that the losses of all trials lead to.

    Args:
        rates: Rates of the short trials.
        short_losses: Mean held-out loss of each `[rates]`.
        losses: By the rate of each whole trial, `[shares, examples]`.
        folds: As in `FineTuningRecipe`.
    """
    trials = tuple(judged(rate, each) for rate, each in losses.items())
    rate, share = chosen(trials)
    return FineTuningRecipe(
        rate,
        share,
        tuple(rates),
        tuple(float(each) for each in short_losses),
        trials[0].losses[0],
        trials,
        folds,
        next(iter(losses.values())).shape[1],
    )


def held_out_losses(logits: np.ndarray, targets: np.ndarray, task: str) -> np.ndarray:
    """Loss of each example in nats at the best temperature, or its squared error in a regression.

    A network that was tuned is surer of itself than a linear probe, or less sure where labels were
    smoothed. That costs it likelihood though it may tell the classes better, and one number for
    all examples, which divides the logits, sets it right.

    Args:
        logits: `[examples, outputs]`.
        targets: `[examples, outputs]`, as `cached_features.targets_of` gives them.
        task: Name of the task.

    Reference:
        Guo et al., On Calibration of Modern Neural Networks, 2017.
    """
    from scipy.optimize import minimize_scalar

    logits = np.asarray(logits, "float64")
    if task == "regression":
        return np.square(logits - targets).sum(axis=-1)
    if not np.isfinite(logits).all():
        return np.full(len(logits), np.nan)

    def losses(log_factor: float) -> np.ndarray:
        scaled = math.exp(log_factor) * logits
        return losses_and_slopes(scaled, targets, independent=task == "multi_label")[0]

    best = minimize_scalar(
        lambda log_factor: float(losses(log_factor).mean()), bounds=_FACTORS, method="bounded"
    )
    return losses(float(best.x))
