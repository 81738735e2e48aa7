"""The random numbers of a generation, drawn before it."""

from __future__ import annotations

import numpy as np

from keras_transgen.training.replica_noise import whole_seed


def uniform_rows(count: int, steps: int, seed: int | None) -> np.ndarray:
    """Uniform numbers; those of a row depend on the seed and the row alone.

    Args:
        count: Rows.
        steps: Numbers of a row.
        seed: `None` for a fresh one, which `keras.utils.set_random_seed` fixes.

    Returns:
        float32 `[count, steps]` in [0, 1).

    Raises:
        ValueError: The seed is no whole number.
    """
    whole = whole_seed(seed) % 2**64
    rows = (np.random.default_rng([whole, row]) for row in range(count))
    return np.stack([row.random(steps, "float32") for row in rows])
