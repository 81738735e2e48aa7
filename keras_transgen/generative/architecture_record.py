"""What a file of weights says of the model they belong to, so that no other model takes them."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np


def architecture_record(model: keras.Model) -> np.ndarray:
    """The class of a built model, and its weights' paths and shapes, as bytes of a weights file."""
    weights = [[weight.path, list(weight.shape)] for weight in model.weights]
    text = json.dumps([type(model).__name__, weights])
    return np.frombuffer(text.encode(), "uint8")


def check_architecture(model: keras.Model, record: Any) -> None:
    """Refuse weights of another architecture than the one whose record came with them.

    Keras looks at the weights that the model has and passes over others in the file, so that a
    smaller model would take a larger one's without a word.
    """
    name, theirs = json.loads(bytes(np.asarray(record, "uint8")).decode())
    ours = [[weight.path, list(weight.shape)] for weight in model.weights]
    if [shape for _, shape in ours] == [shape for _, shape in theirs]:
        return
    first = next(
        (n for n, (one, other) in enumerate(zip(ours, theirs)) if one[1] != other[1]),
        min(len(ours), len(theirs)),
    )
    raise ValueError(
        "This checkpoint is of another architecture. Make the model with the arguments that it was "
        "trained with, or load a .keras file, which holds them, by keras_transgen.load_model. "
        f"Expected {len(ours)} weights of a {type(model).__name__}, {_weight(ours, first)}. "
        f"Received: {len(theirs)} weights of a {name}, {_weight(theirs, first)}"
    )


def _weight(weights: list, number: int) -> str:
    if number >= len(weights):
        return f"none of them number {number + 1}"
    path, shape = weights[number]
    return f"number {number + 1} being {path!r} of shape {shape}"
