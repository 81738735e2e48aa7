"""Attention of several heads over keys that may be cached."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from keras import ops

# The score of what is hidden; finite, since a row may have nothing to attend to (padding).
_HIDDEN = -1e9


class KeysAndValues(NamedTuple):
    """What is attended to: two tensors `[batch, heads, length, model_dim / heads]`."""

    keys: Any
    values: Any


class Attention(keras.layers.Layer):
    """Scaled dot-product attention of several heads, whose keys and values are made apart.

    Args:
        model_dim: Size of the vectors, a multiple of `num_heads`.
        num_heads: Heads.
        output_initializer: Of the last projection.
        **kwargs: As in `keras.layers.Layer`.

    Reference:
        Vaswani et al., "Attention is all you need", 2017.
    """

    def __init__(
        self,
        model_dim: int,
        num_heads: int,
        output_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if num_heads < 1 or model_dim % num_heads:
            raise ValueError(
                "model_dim must be a multiple of num_heads. "
                f"Received: model_dim={model_dim}, num_heads={num_heads}"
            )
        self.model_dim, self.num_heads = model_dim, num_heads
        self.output_initializer = keras.initializers.get(output_initializer)
        dense = keras.layers.Dense
        self.query = dense(model_dim, name="query", dtype=self.dtype_policy)
        self.key = dense(model_dim, name="key", dtype=self.dtype_policy)
        self.value = dense(model_dim, name="value", dtype=self.dtype_policy)
        self.output_projection = dense(
            model_dim,
            kernel_initializer=self.output_initializer,
            name="output",
            dtype=self.dtype_policy,
        )

    def build(self, input_shape: Any = None) -> None:
        for each in (self.query, self.key, self.value, self.output_projection):
            each.build((None, None, self.model_dim))
        self.built = True

    def heads(self, x: Any) -> Any:
        """`[batch, length, model_dim]` as `[batch, heads, length, model_dim / heads]`."""
        shape = ops.shape(x)
        size = self.model_dim // self.num_heads
        return ops.transpose(
            ops.reshape(x, (shape[0], shape[1], self.num_heads, size)), (0, 2, 1, 3)
        )

    def keys_and_values(self, memory: Any) -> KeysAndValues:
        """What `memory` `[batch, length, model_dim]` offers to attend to."""
        return KeysAndValues(self.heads(self.key(memory)), self.heads(self.value(memory)))

    def queries(self, x: Any) -> Any:
        """What is asked for, scaled, `[batch, heads, length, model_dim / heads]`."""
        return self.heads(self.query(x)) / math.sqrt(self.model_dim // self.num_heads)

    def call(self, queries: Any, keys_and_values: KeysAndValues, hidden: Any = None) -> Any:
        """Attend.

        Args:
            queries: What `queries` gave.
            keys_and_values: What `keys_and_values` gave.
            hidden: Which keys are not seen, bool, to be broadcast to
                `[batch, heads, queries, keys]`. A mask, since Keras would cast a bias to half
                precision.

        Returns:
            `[batch, length, model_dim]`.
        """
        keys, values = keys_and_values
        scores = ops.cast(ops.matmul(queries, ops.transpose(keys, (0, 1, 3, 2))), "float32")
        if hidden is not None:
            scores = tf.where(hidden, _HIDDEN, scores)
        weights = ops.cast(tf.nn.softmax(scores), values.dtype)
        mixed = ops.transpose(ops.matmul(weights, values), (0, 2, 1, 3))
        shape = ops.shape(mixed)
        return self.output_projection(ops.reshape(mixed, (shape[0], shape[1], self.model_dim)))
