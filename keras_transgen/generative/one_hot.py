"""One-hot vectors along the last axis, as examples of symbols."""

from __future__ import annotations

import numpy as np

_ROWS_CHECKED = 1000
_TOLERANCE = 1e-3


def check_symbols(values: np.ndarray, name: str, exactly: bool = False) -> None:
    """Refuse examples whose rows are no distributions over symbols.

    Args:
        values: `[count, ..., symbols]`; the first thousand examples are looked at.
        name: What the caller's argument is called, for the message.
        exactly: Whether each row must be a single one among zeros.

    Raises:
        ValueError: If a row does not sum to one, or is not one-hot where it must be.
    """
    rows = np.asarray(values[:_ROWS_CHECKED], "float64")
    wrong = np.abs(rows.sum(-1) - 1.0) > _TOLERANCE
    what = "sums to"
    if exactly and not wrong.any():
        wrong = np.abs(rows.max(-1) - 1.0) > _TOLERANCE
        what = "is no one-hot vector though it sums to"
    if wrong.any():
        place = tuple(int(index) for index in np.argwhere(wrong)[0])
        raise ValueError(
            "Sequences of symbols are one-hot vectors along the last axis, each with a sum of 1: "
            "keras.ops.one_hot(numbers, symbols) makes them; give padding and unknown letters a "
            "symbol of their own. (Waveforms of several channels need a GAN's "
            "networks='wavegan', grey images a last axis of 1.) "
            f"Received: {name} whose row {place} {what} {rows.sum(-1)[place]:g}"
        )


def refuse_byte_symbols(name: str) -> None:
    """Refuse uint8 one-hot vectors, which would be scaled as images are.

    Raises:
        ValueError: Always.
    """
    raise ValueError(
        "uint8 is taken for images and divided by 255; give one-hot vectors as float32: "
        f'{name}.astype("float32"). Received: uint8 {name}'
    )
