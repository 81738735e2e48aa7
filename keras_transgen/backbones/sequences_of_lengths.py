"""Sequences of several lengths among the data that features are to be extracted from."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.datasets.as_arrays import as_arrays
from keras_transgen.training.padded_sequences import (
    padded,
    ragged_inputs,
    read_whole,
    with_padded_inputs,
)


def sequences_of_lengths(backbone: Any, data: Any) -> tuple[dict[str, Any], Any, Any] | None:
    """Data whose inputs differ in their length: padded inputs, labels and weights.

    Args:
        backbone: The layer or model that they are for.
        data: As in `extract_features`.

    Returns:
        `(x, y, sample_weight)`, `x` as `padded` gives it; `None` where all inputs are of one shape.

    Raises:
        ValueError: A sequence is empty, or more than the lengths differ.
    """
    if isinstance(data, tf.data.Dataset):
        if not ragged_inputs(data) or int(data.cardinality()) in (0, tf.data.INFINITE_CARDINALITY):
            return None
        return read_whole(with_padded_inputs(data))
    x, y, sample_weight = (*(data if isinstance(data, tuple) else (data,)), None, None)[:3]
    if isinstance(x, list) and _are_examples(backbone, x):
        x = as_arrays(x)
    if not isinstance(x, tf.RaggedTensor):
        return None
    x = keras.tree.map_structure(np.asarray, padded(x))
    y, sample_weight = (
        None if each is None else as_arrays(each, name)
        for each, name in ((y, "y"), (sample_weight, "sample_weight"))
    )
    return x, y, sample_weight


def _are_examples(backbone: Any, values: list[Any]) -> bool:
    """Whether arrays of several lengths are sequences, and not the inputs of a network."""
    contract = getattr(backbone, "input_contract", None)
    inputs = getattr(backbone, "inputs", None) or ()
    if isinstance(contract, (list, tuple, dict)) or len(inputs) > 1:
        return False
    lengths = {np.shape(each)[:1] for each in values if hasattr(each, "shape")}
    return len(lengths) > 1 or any(isinstance(each, list) for each in values)
