"""Numbers as arguments: of things, whole and not too small; and weights, finite and from 0 up."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np


def is_count(value: Any, least: int = 1) -> bool:
    """Whether a value is a whole number, of Python or NumPy and no truth value, from `least` up."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))
    return bool(whole and value >= least)


def check_count(name: str, value: Any, least: int = 1) -> None:
    """Refuse what is no whole number from `least` up.

    Args:
        name: Of the argument.
        value: What was given.
        least: The smallest that will do. Defaults to 1.

    Raises:
        ValueError: If it is none.
    """
    if not is_count(value, least):
        raise ValueError(
            f"{name} must be a whole number from {least} up. Received: {name}={value!r:.100}"
        )


def is_weight(value: Any) -> bool:
    """Whether a value is a finite number from 0 up, and no truth value."""
    number = isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))
    return bool(number and 0.0 <= value < math.inf)


def check_weights(**weights: Any) -> None:
    """Refuse weights that are no finite numbers from 0 up.

    Args:
        **weights: Each under its argument's name.

    Raises:
        ValueError: If one is none: NaN, too, which no comparison finds.
    """
    for name, value in weights.items():
        if not is_weight(value):
            raise ValueError(
                f"{name} must be a finite number from 0 up. Received: {name}={value!r:.100}"
            )
