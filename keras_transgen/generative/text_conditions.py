"""Conditions that are texts: numbers are made of them where they enter, before a step is compiled.

XLA has no strings, and a model of images should not go uncompiled for the words it is told.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeGuard, runtime_checkable

import numpy as np
import tensorflow as tf

from keras_transgen.training.changed_labels import labels_of, with_changed_labels
from keras_transgen.training.first_batch import first_batch


@runtime_checkable
class EncodesTexts(Protocol):
    """What a model asks of an encoder of texts, such as `TextEncoder`; a Keras layer besides."""

    features: int
    max_length: int

    def tokens(self, texts: Any) -> np.ndarray:
        """Int32 `[count, max_length]` of strings `[count]`; of tokens, themselves."""

    def graph_resources(self) -> tuple[Any, ...]:
        """What TensorFlow must save of it besides variables."""

    def copied(self) -> Any:
        """A new encoder like this one, with weights of its own."""


def encodes_texts(encoder: Any) -> TypeGuard[EncodesTexts]:
    """Whether an encoder of conditions has tokens for texts."""
    return isinstance(encoder, EncodesTexts)


def with_tokens(data: Any, encoder: EncodesTexts) -> Any:
    """A data set or generator whose conditions are tokens, where they were texts.

    Args:
        data: Gives batches of examples and conditions.
        encoder: Makes the tokens.
    """
    if isinstance(data, tf.data.Dataset):
        if labels_of(data.element_spec) != tf.string:
            return data
    else:
        batch, data = first_batch(data)
        if batch is None or len(batch) < 2:
            return data
    return with_changed_labels(data, encoder.tokens, tf.int32, (encoder.max_length,))
