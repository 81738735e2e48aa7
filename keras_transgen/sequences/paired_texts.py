"""Sources and their targets on their way in."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.sequences.pair_batches import Pairs
from keras_transgen.sequences.texts import as_texts


def is_token_batches(data: Any) -> bool:
    """Whether data give batches of tokens, ready to train on."""
    if isinstance(data, keras.utils.PyDataset):
        return True
    if not isinstance(data, tf.data.Dataset):
        return False
    return not any(spec.dtype == tf.string for spec in tf.nest.flatten(data.element_spec))


def paired_texts(
    sources: Any, targets: Any, given: str = "fit(sources, targets)"
) -> tuple[list[str], list[str]]:
    """Two lists of texts, of equal lengths.

    Args:
        sources: Strings, or without targets a data set of pairs of strings.
        targets: Strings.
        given: How the user gives them.

    Raises:
        ValueError: There are no targets, or not as many.
    """
    of_pairs = isinstance(sources, tf.data.Dataset) and isinstance(sources.element_spec, tuple)
    if of_pairs and targets is not None:
        raise ValueError("A data set of pairs has the targets: leave y out. Received: y too")
    if targets is None and isinstance(sources, tf.data.Dataset):
        if not isinstance(sources.element_spec, tuple) or len(sources.element_spec) != 2:
            raise ValueError(
                "A data set must give pairs of a source and its target. "
                f"Received: elements {sources.element_spec}"
            )
        if sources.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise ValueError(
                "Pairs are read once, all of them: leave repeat() out, epochs say how often. "
                "Received: a data set that never ends"
            )
        parts = [[np.atleast_1d(each.numpy()) for each in element] for element in sources]
        sources, targets = (np.concatenate(each) for each in zip(*parts)) if parts else ([], [])
    if targets is None:
        raise ValueError(
            f"Each source needs a target: {given}, two lists of texts. Received: no targets"
        )
    first, second = as_texts(sources, "sources"), as_texts(targets, "targets")
    if len(first) != len(second):
        raise ValueError(
            "There must be as many targets as sources. "
            f"Received: {len(first)} sources and {len(second)} targets"
        )
    return first, second


def token_pairs(sources: list[list[int]], targets: list[list[int]], longest: int) -> Pairs:
    """Tokens as pairs that the model can read.

    Args:
        sources: Tokens, each with its end.
        targets: Tokens, each with start and end.
        longest: Most tokens of a source, and of what a target predicts.

    Raises:
        ValueError: Some have more.
    """
    for name, rows, extra in (("sources", sources, 0), ("targets", targets, 1)):
        lengths = np.array([len(row) - extra for row in rows])
        if lengths.max() > longest:
            raise ValueError(
                f"The model reads at most {longest} tokens: pass a larger context_length, or leave "
                f"longer pairs out. Received: {name} of up to {lengths.max()} tokens, "
                f"{int((lengths > longest).sum())} of them too long, the first in row "
                f"{int(np.argmax(lengths > longest))}"
            )
    return Pairs(sources, targets)
