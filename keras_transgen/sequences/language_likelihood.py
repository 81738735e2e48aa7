"""How likely a language model finds whole documents, longer ones by windows that overlap."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from keras_transgen.sequences.token_rows import groups, same_length


class Predictor(Protocol):
    """What is needed of a language model."""

    context_length: int

    def token_nats(self, tokens: tf.Tensor, training: bool) -> tf.Tensor:
        """-log p of each token after the first, `[batch, length - 1]`."""

    def kept_function(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A compiled function, kept by its name."""


def log_likelihoods(model: Predictor, documents: Sequence[list[int]]) -> np.ndarray:
    """Log p of documents, in nats, float64 `[count]`.

    Args:
        model: The model.
        documents: Their tokens, with start and end; beyond the context each token is predicted
            from at least half of it.
    """
    width, stride = model.context_length + 1, max(1, model.context_length // 2)
    rows, first, owner = [], [], []
    for number, document in enumerate(documents):
        at, told = 0, 0
        while told < len(document) - 1:
            row = document[at : at + width]
            rows.append(row)
            first.append(told - at)
            owner.append(number)
            told = at + len(row) - 1
            at += stride
    found = np.zeros(len(documents))
    nats_of = model.kept_function("nats", functools.partial(model.token_nats, training=False))
    for group in groups([len(row) - 1 for row in rows]):
        width = min(group.width, model.context_length) + 1
        tokens = same_length([rows[each] for each in group.filled], width)
        for each, row in zip(group.rows, nats_of(tf.constant(tokens)).numpy()):
            found[owner[each]] -= row[first[each] :].sum(dtype="float64")
    return found
