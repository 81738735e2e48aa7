"""What the curve of a range test suggests: the rate where the loss falls fastest, if it falls."""

from __future__ import annotations

import numpy as np

# What fastai and Lightning leave out: the first steps, which tell of the start and not of the rate,
# and the last ones, where the loss leaves the range.
FIRST_SHARE = 0.1
LAST_STEPS = 5
# How many standard errors, and which share of the loss, a fall must have to be one.
_CLEAR = 5.0
_SMALLEST_FALL = 0.01
# Fewer steps than these leave no room to tell a fall from noise.
_FEWEST = 10


def smooth(losses: np.ndarray) -> np.ndarray:
    """Losses without their noise: straight lines through a sixth of the steps around each.

    A running mean of what came before would lag behind, and show a fall at too high a rate.

    Args:
        losses: Of a range test `[steps]`.

    Returns:
        Smoothed losses `[steps]`.
    """
    from scipy.signal import savgol_filter

    if len(losses) < 3:
        return losses.copy()
    return savgol_filter(losses, _width(len(losses)), polyorder=1)


def suggest_rate(rates: np.ndarray, losses: np.ndarray) -> float | None:
    """The rate at which the loss falls fastest over the logarithm of the rate.

    The first tenth of the steps and the last five are left out.

    Args:
        rates: At equal ratios, ascending `[steps]`.
        losses: Loss at each, finite `[steps]`.

    Returns:
        The rate, or `None` where the loss does not fall clearly (by less than 1 % or less than its
        noise explains), or where too few steps are left to tell.
    """
    from scipy.signal import savgol_filter

    kept = slice(int(FIRST_SHARE * len(losses)), len(losses) - LAST_STEPS)
    rates, losses = rates[kept], losses[kept]
    if len(losses) < _FEWEST:
        return None
    width = _width(len(losses))
    # Only steps that have all their neighbours: at the ends a slope is only extended.
    inner = slice(width // 2, len(losses) - width // 2)
    smoothed = smooth(losses)[inner]
    slopes = savgol_filter(losses, width, polyorder=1, deriv=1)[inner]
    lowest = int(np.argmin(smoothed))
    fall = smoothed[: lowest + 1].max() - smoothed[lowest]
    error = _noise(losses) * np.sqrt(2.0 / width)
    if fall <= max(_CLEAR * error, _SMALLEST_FALL * abs(smoothed[0])):
        return None
    return float(rates[inner][int(np.argmin(slopes[: lowest + 1]))])


def _width(steps: int) -> int:
    """An odd number of steps, about a sixth of them."""
    return max(3, steps // 6 | 1)


def _noise(losses: np.ndarray) -> float:
    """Standard deviation of the noise, from second differences, which a slope does not enter.

    Those of independent normal noise have six times its variance, and their median size is 0.6745
    of their deviation.
    """
    return float(np.median(np.abs(np.diff(losses, 2))) / (0.6745 * np.sqrt(6.0)))
