"""The sizes of a network of sequences."""

from __future__ import annotations

from typing import Any

import numpy as np

# Deeper networks are no slip of the pen that one would wait for.
MOST_LAYERS = 1000


def check_sizes(dropout: float, **sizes: Any) -> None:
    """Refuse sizes that are no numbers of things, and a share that is none.

    Args:
        dropout: Share dropped.
        **sizes: Whole numbers of at least 1, by the name of their argument.

    Raises:
        ValueError: One is not.
    """
    for name, size in sizes.items():
        check_whole(name, size, most=MOST_LAYERS if name == "num_layers" else None)
    if not 0.0 <= dropout < 1.0:
        raise ValueError(f"dropout must be in [0, 1). Received: dropout={dropout!r}")


def check_whole(name: str, value: Any, least: int = 1, most: int | None = None) -> None:
    """Refuse what is no number of things.

    Args:
        name: Of the argument.
        value: Its value.
        least: The least that it may be.
        most: The most that it may be. Defaults to any.

    Raises:
        ValueError: It is not.
    """
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        limit = "" if most is None else f" and at most {most:,}"
        raise ValueError(
            f"{name} must be a whole number of at least {least}{limit}. Received: {name}={value!r}"
        )
