"""The random numbers of a generation, drawn before it."""

from __future__ import annotations

import numpy as np


def uniform_rows(count: int, steps: int, seed: int | None) -> np.ndarray:
    """Uniform numbers; those of a row depend on the seed and the row alone.

    Args:
        count: Rows.
        steps: Numbers of a row.
        seed: `None` draws afresh.

    Returns:
        float32 `[count, steps]` in [0, 1).

    Raises:
        ValueError: The seed is no whole number.
    """
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, (int, np.integer))):
        raise ValueError(f"seed must be a whole number or None. Received: seed={seed!r}")
    if seed is None:
        return np.random.default_rng().random((count, steps), "float32")
    rows = (np.random.default_rng([seed % 2**64, row]) for row in range(count))
    return np.stack([row.random(steps, "float32") for row in rows])
