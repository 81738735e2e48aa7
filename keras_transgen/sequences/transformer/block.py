"""A pre-norm block of a Transformer."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_transgen.sequences.transformer.attention import Attention, KeysAndValues
from keras_transgen.sequences.transformer.rotary import rotated

_EPSILON = 1e-5


class TransformerBlock(keras.layers.Layer):
    """Self-attention, attention to a memory where there is one, and two dense layers.

    Each part reads a normalised input and adds to it (pre-norm).

    Args:
        model_dim: Size of the vectors.
        num_heads: Heads of attention.
        feedforward_dim: Size of the inner dense layer.
        dropout: Share of what each part adds that is dropped in training. Defaults to 0.
        cross_attention: Whether the block attends to a memory. Defaults to `False`.
        activation: Of the inner dense layer. Defaults to `"gelu"`.
        output_initializer: Of the last projection of each part.
        **kwargs: As in `keras.layers.Layer`.

    Reference:
        Xiong et al., "On layer normalization in the Transformer architecture", 2020.
    """

    def __init__(
        self,
        model_dim: int,
        num_heads: int,
        feedforward_dim: int,
        dropout: float = 0.0,
        cross_attention: bool = False,
        activation: Any = "gelu",
        output_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_dim, self.num_heads = model_dim, num_heads
        self.feedforward_dim, self.dropout_rate = feedforward_dim, dropout
        self.cross_attention = cross_attention
        self.activation = keras.activations.get(activation)
        self.output_initializer = keras.initializers.get(output_initializer)
        options = {"dtype": self.dtype_policy}
        normalization = keras.layers.LayerNormalization
        attention = {"output_initializer": self.output_initializer.clone(), **options}
        self.attention_norm = normalization(epsilon=_EPSILON, name="attention_norm", **options)
        self.attention = Attention(model_dim, num_heads, name="attention", **attention)
        self.memory_norm = self.memory_attention = None
        if cross_attention:
            self.memory_norm = normalization(epsilon=_EPSILON, name="memory_norm", **options)
            self.memory_attention = Attention(
                model_dim, num_heads, name="memory_attention", **attention
            )
        self.feedforward_norm = normalization(epsilon=_EPSILON, name="feedforward_norm", **options)
        self.inner = keras.layers.Dense(
            feedforward_dim, activation=self.activation, name="inner", **options
        )
        self.outer = keras.layers.Dense(
            model_dim,
            kernel_initializer=self.output_initializer.clone(),
            name="outer",
            **options,
        )
        self.dropout = keras.layers.Dropout(dropout, name="dropout", dtype=self.dtype_policy)

    def build(self, input_shape: Any = None) -> None:
        vectors = (None, None, self.model_dim)
        self.attention_norm.build(vectors)
        self.attention.build()
        if self.memory_norm is not None and self.memory_attention is not None:
            self.memory_norm.build(vectors)
            self.memory_attention.build()
        self.feedforward_norm.build(vectors)
        self.inner.build(vectors)
        self.outer.build((None, None, self.feedforward_dim))
        self.dropout.build(vectors)
        self.built = True

    def memory_keys(self, memory: Any) -> KeysAndValues:
        """What a memory offers to this block, which must attend to one."""
        assert self.memory_attention is not None
        return self.memory_attention.keys_and_values(memory)

    def call(
        self,
        x: Any,
        hidden: Any = None,
        turn: Any = None,
        memory: KeysAndValues | None = None,
        memory_hidden: Any = None,
        cache: KeysAndValues | None = None,
        place: Any = None,
        training: bool = False,
    ) -> tuple[Any, KeysAndValues]:
        """Compute the block.

        Args:
            x: `[batch, length, model_dim]`.
            hidden: Which positions self-attention does not see; see `Attention.call`.
            turn: `rotary.rotation` at the positions of `x`; `None` without rotary positions.
            memory: What `memory_keys` gave.
            memory_hidden: Which places of the memory are not seen.
            cache: Keys and values of earlier positions, of some fixed length, into which those of
                `x` are written; `None` to attend to `x` alone.
            place: Where they are written, an int scalar.
            training: Whether to drop.

        Returns:
            The output, shaped like `x`, and the keys and values that were attended to.
        """
        normalised = self.attention_norm(x)
        queries = self.attention.queries(normalised)
        keys, values = self.attention.keys_and_values(normalised)
        if turn is not None:
            queries, keys = rotated(queries, turn), rotated(keys, turn)
        if cache is not None:
            at = (0, 0, place, 0)
            keys = ops.slice_update(cache.keys, at, ops.cast(keys, cache.keys.dtype))
            values = ops.slice_update(cache.values, at, ops.cast(values, cache.values.dtype))
        attended = KeysAndValues(keys, values)
        x = x + self.dropout(self.attention(queries, attended, hidden), training=training)
        if (
            memory is not None
            and self.memory_norm is not None
            and self.memory_attention is not None
        ):
            queries = self.memory_attention.queries(self.memory_norm(x))
            found = self.memory_attention(queries, memory, memory_hidden)
            x = x + self.dropout(found, training=training)
        added = self.outer(self.inner(self.feedforward_norm(x)))
        return x + self.dropout(added, training=training), attended
