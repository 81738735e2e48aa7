"""A pointer: tokens of the source may be copied instead of written."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_transgen.sequences.token_codecs import PADDING

_TINY, _HIDDEN = 1e-9, -1e9


class Mixture(NamedTuple):
    """How a token comes about: written by the vocabulary's logits, or copied.

    Attributes:
        logits: `[batch, length, vocabulary]`.
        written: Probability that it is written, `[batch, length, 1]`.
        places: Which place of the source is copied, probabilities `[batch, length, source]`.
    """

    logits: tf.Tensor
    written: tf.Tensor
    places: tf.Tensor


class Pointer(keras.layers.Layer):
    """Points at places of the source and says whether to copy what stands there.

    Args:
        model_dim: Size of the vectors.
        **kwargs: As in `keras.layers.Layer`.

    Reference:
        See, Liu and Manning, "Get to the point: Summarization with pointer-generator networks",
        2017.
    """

    def __init__(self, model_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model_dim = model_dim
        self.query = keras.layers.Dense(model_dim, name="query", dtype=self.dtype_policy)
        self.key = keras.layers.Dense(model_dim, name="key", dtype=self.dtype_policy)
        # It begins by writing more than copying.
        self.gate = keras.layers.Dense(
            1, bias_initializer=keras.initializers.Constant(1.0), name="gate", dtype="float32"
        )

    def build(self, input_shape: Any = None) -> None:
        for each in (self.query, self.key, self.gate):
            each.build((None, None, self.model_dim))
        self.built = True

    def call(self, features: Any, keys: Any, hidden: Any) -> tuple[Any, Any]:
        """Where to copy from.

        Args:
            features: Of the decoder, `[batch, length, model_dim]`.
            keys: `self.key` of the encoder's features, `[batch, source, model_dim]`.
            hidden: Which places are padding, bool `[batch, 1, source]`.

        Returns:
            `written` and `places` of a `Mixture`.
        """
        scores = tf.matmul(self.query(features), keys, transpose_b=True)
        scores = tf.cast(scores, tf.float32) / math.sqrt(self.model_dim)
        scores = tf.where(hidden, _HIDDEN, scores)
        return tf.sigmoid(self.gate(features)), tf.nn.softmax(scores)


def log_probability_of(mixture: Mixture, targets: tf.Tensor, source: tf.Tensor) -> tf.Tensor:
    """Log p of given tokens, `[batch, length]`.

    Args:
        mixture: What `Pointer` gave.
        targets: The tokens, `[batch, length]`.
        source: Tokens of the source, `[batch, source]`.
    """
    written = tf.gather(tf.nn.softmax(mixture.logits), targets[..., None], batch_dims=2)[..., 0]
    same = tf.cast(source[:, None, :] == targets[..., None], tf.float32)
    copied = tf.reduce_sum(mixture.places * same, axis=-1)
    gate = mixture.written[..., 0]
    return tf.math.log(gate * written + (1.0 - gate) * copied + _TINY)


def all_log_probabilities(mixture: Mixture, source: tf.Tensor) -> tf.Tensor:
    """Log p of every token of the vocabulary, `[batch, length, vocabulary]`.

    Args:
        mixture: What `Pointer` gave.
        source: Tokens of the source, `[batch, source]`.
    """
    size = mixture.logits.shape[-1]
    at = tf.one_hot(source, size) * tf.cast(source != PADDING, tf.float32)[..., None]
    copied = tf.matmul(mixture.places, at)
    gate = mixture.written
    return tf.math.log(gate * tf.nn.softmax(mixture.logits) + (1.0 - gate) * copied + _TINY)
