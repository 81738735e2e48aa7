"""What the held-out losses of trials lead to: a rate, and how far to leave the probe."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from keras_transgen.transfer.fine_tuning_recipe import ENOUGH, SHARES, FineTuningRecipe, Trial
from keras_transgen.transfer.lbfgs import losses_and_slopes

# The probe is left if the held-out loss falls by more than so many of the fall's standard errors.
CLEAR = 1.5
# The smallest move is taken whose loss is within so many standard errors of the lowest.
AS_GOOD = 0.5
# A trial that comes to a loss so many times the probe's, anywhere on its way, is not trusted.
HILL = 1.2
# Logarithms of the factors of logits that are tried.
_FACTORS = (-3.0, 3.0)


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


def leads_over_a_hill(losses: Sequence[float]) -> bool:
    """Whether a way from the probe comes to a much higher loss than the probe's.

    Weights beyond a hill of the loss belong to another basin. Where one training ends there, the
    next one, on other rows, may end elsewhere.

    Args:
        losses: Mean held-out loss at each of `SHARES`; the first is the probe's.

    Reference:
        Frankle et al., Linear Mode Connectivity and the Lottery Ticket Hypothesis, 2020.
    """
    return not all(loss <= HILL * losses[0] for loss in losses)


def grows_better(losses: Sequence[np.ndarray]) -> bool:
    """Whether the last of some whole trials is better than the one before it.

    Args:
        losses: Of each trial, `[shares, examples]`, by ascending rate; two or more.
    """
    before, last = (each.mean(axis=1) for each in losses[-2:])
    return not leads_over_a_hill(last) and bool(last.min() < np.nanmin(before))


def judged(rate: float, losses: np.ndarray) -> Trial:
    """What a whole trial says.

    Args:
        rate: Its learning rate.
        losses: Loss of each held-out example at each share `[shares, examples]`.
    """
    falls = [_mean_and_error(losses[0] - each) for each in losses]
    return Trial(
        float(rate),
        tuple(float(each) for each in losses.mean(axis=1)),
        tuple(fall for fall, _ in falls),
        tuple(error for _, error in falls),
    )


def _mean_and_error(differences: np.ndarray) -> tuple[float, float]:
    count = len(differences)
    error = differences.std(ddof=1) / math.sqrt(count) if count > 1 else math.inf
    return float(differences.mean()), float(error)


def chosen(losses: Mapping[float, np.ndarray], guessing: np.ndarray) -> tuple[float, float]:
    """The rate and the share to train with; share 0 keeps the probe.

    The probe is left where the lowest loss lies clearly below its own, or where the probe itself is
    no better than guessing, so that there is nothing to lose. The smallest move is taken that is
    about as good.

    Args:
        losses: By the rate of each whole trial, ascending, `[shares, examples]`.
        guessing: Loss of each example for one who knows the shares of the classes, `[examples]`.
    """
    moves = [
        (rate, share, each)
        for rate, trial in losses.items()
        if not leads_over_a_hill(trial.mean(axis=1))
        for share, each in zip(SHARES[1:], trial[1:])
    ]
    first = next(iter(losses))
    if not moves:
        return first, 0.0
    probe = losses[first][0]
    best = min(moves, key=lambda move: float(move[2].mean()))
    gain, its_error = _mean_and_error(guessing - probe)
    clear = CLEAR if gain > CLEAR * its_error else 0.0
    fall, error = _mean_and_error(probe - best[2])
    if not fall > (clear * error if clear else 0.0):
        return best[0], 0.0
    about_as_good = (
        (rate, share)
        for rate, share, each in moves
        if each is best[2] or _is_within(each - best[2], AS_GOOD)
    )
    return next(about_as_good)


def _is_within(rises: np.ndarray, errors: float) -> bool:
    mean, error = _mean_and_error(rises)
    return mean <= errors * error


def with_losses(
    rates: Sequence[float],
    short_losses: Sequence[float],
    losses: Mapping[float, np.ndarray],
    guessing: np.ndarray,
    folds: int,
) -> FineTuningRecipe:
    """The recipe that the losses of all trials lead to.

    Args:
        rates: Rates of the short trials.
        short_losses: Mean held-out loss of each `[rates]`.
        losses: As in `chosen`.
        guessing: As in `chosen`.
        folds: As in `FineTuningRecipe`.
    """
    trials = tuple(judged(rate, each) for rate, each in losses.items())
    rate, share = chosen(losses, guessing)
    return FineTuningRecipe(
        rate,
        share,
        tuple(rates),
        tuple(float(each) for each in short_losses),
        trials[0].losses[0],
        trials,
        folds,
        len(guessing),
    )


def held_out_losses(
    logits: np.ndarray, targets: np.ndarray, task: str, weights: np.ndarray | None = None
) -> np.ndarray:
    """Loss of each example in nats at the best temperature, or its squared error in a regression.

    A network that was tuned is surer of itself than a linear probe, or less sure where labels were
    smoothed. That costs it likelihood though it may tell the classes better, and one number for
    all examples, which divides the logits, sets it right. It is found as if one example more had
    been seen, of no class in particular: where all are told rightly it would else be zero.

    Args:
        logits: `[examples, outputs]`.
        targets: `[examples, outputs]`, as `cached_features.targets_of` gives them.
        task: Name of the task.
        weights: Of each example `[examples]`; their mean counts as one. Defaults to equal ones.

    Reference:
        Guo et al., On Calibration of Modern Neural Networks, 2017; Platt, Probabilistic Outputs for
        Support Vector Machines, 1999 (the example more).
    """
    from scipy.optimize import minimize_scalar

    logits = np.asarray(logits, "float64")
    shares = _shares(weights, len(targets))
    if task == "regression":
        return shares * np.square(logits - targets).sum(axis=-1)
    if not np.isfinite(logits).all():
        return np.full(len(logits), np.nan)
    independent = task == "multi_label"
    unsure = 1.0 / (len(targets) + 2.0)
    anything = 0.5 if independent else 1.0 / targets.shape[1]
    smoothed = (1.0 - unsure) * targets + unsure * anything
    best = minimize_scalar(
        lambda log_factor: float(
            shares @ losses_and_slopes(math.exp(log_factor) * logits, smoothed, independent)[0]
        ),
        bounds=_FACTORS,
        method="bounded",
    )
    return shares * losses_and_slopes(math.exp(float(best.x)) * logits, targets, independent)[0]


def _shares(weights: np.ndarray | None, count: int) -> np.ndarray:
    return np.ones(count) if weights is None else np.asarray(weights, "float64") / np.mean(weights)


def guessing_losses(
    targets: np.ndarray, task: str, weights: np.ndarray | None = None
) -> np.ndarray:
    """Loss of each example for one who knows how often each class occurs, and nothing else.

    Args:
        targets: `[examples, outputs]`.
        task: Name of the task.
        weights: As in `held_out_losses`.
    """
    weights = _shares(weights, len(targets))
    mean = np.average(targets, axis=0, weights=weights)
    if task == "regression":
        return weights * np.square(targets - mean).sum(axis=-1)
    shares = np.clip(mean, 1e-9, 1.0 - 1e-9)
    if task == "multi_label":
        logits = np.broadcast_to(np.log(shares / (1.0 - shares)), targets.shape)
        return weights * losses_and_slopes(np.array(logits), targets, True)[0]
    return weights * (-targets @ np.log(shares))
