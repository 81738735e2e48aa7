"""Pieces on their way in: whatever holds them, as a list."""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import tensorflow as tf


def holds_pieces(value: Any, name: str) -> bool:
    """Whether data are pieces rather than rows of tokens, data sets of them, or parts of both.

    Args:
        value: What the user gave.
        name: Of the argument.
    """
    if isinstance(value, np.ndarray):
        return value.dtype == object
    if isinstance(value, tuple) and name == "validation_data":
        return False
    return isinstance(value, (list, tuple, types.GeneratorType, tf.RaggedTensor))


def as_list(pieces: Any) -> Any:
    """Pieces as a list, where they are something else that holds them.

    Args:
        pieces: A list, a Python generator of pieces, or a ragged tensor.
    """
    if isinstance(pieces, tf.RaggedTensor):
        return pieces.to_list()
    return list(pieces) if isinstance(pieces, types.GeneratorType) else pieces
