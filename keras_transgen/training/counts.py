"""Numbers of things as arguments: whole, and not too small."""

from __future__ import annotations

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
