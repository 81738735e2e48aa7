"""Tokens in, features out: an embedding, positions, and a stack of blocks."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from keras_transgen.sequences.transformer.attention import KeysAndValues
from keras_transgen.sequences.transformer.block import TransformerBlock
from keras_transgen.sequences.transformer.rotary import rotation

POSITIONS = ("rotary", "learned")
_INITIAL = 0.02


class TransformerStack(keras.layers.Layer):
    """Pre-norm blocks over embedded tokens, whose embedding also gives the logits.

    Args:
        vocabulary_size: How many tokens there are.
        context_length: Most tokens; with learned positions no more can be read.
        num_layers: Blocks.
        model_dim: Size of the vectors.
        num_heads: Heads of attention.
        feedforward_dim: Size of the inner dense layers.
        dropout: Share dropped in training.
        positions: `"rotary"` or `"learned"`.
        cross_attention: Whether the blocks attend to a memory. Defaults to `False`.
        embedding: The `keras.layers.ReversibleEmbedding` of another stack, to share it.
        **kwargs: As in `keras.layers.Layer`.

    Reference:
        Radford et al., "Language models are unsupervised multitask learners", 2019 (pre-norm, the
        initial values); Press and Wolf, "Using the output embedding to improve language models",
        2017 (one table for input and output).
    """

    def __init__(
        self,
        vocabulary_size: int,
        context_length: int,
        num_layers: int,
        model_dim: int,
        num_heads: int,
        feedforward_dim: int,
        dropout: float,
        positions: str = "rotary",
        cross_attention: bool = False,
        embedding: keras.layers.Layer | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if positions not in POSITIONS:
            raise ValueError(f"positions must be one of {POSITIONS}. Received: {positions!r}")
        if model_dim % num_heads:
            raise ValueError(
                "model_dim must be a multiple of num_heads. "
                f"Received: model_dim={model_dim}, num_heads={num_heads}"
            )
        if positions == "rotary" and (model_dim // num_heads) % 2:
            raise ValueError(
                "Rotary positions need heads of an even size, model_dim / num_heads. "
                f"Received: model_dim={model_dim}, num_heads={num_heads}"
            )
        self.vocabulary_size, self.context_length = vocabulary_size, context_length
        self.num_layers, self.model_dim, self.num_heads = num_layers, model_dim, num_heads
        self.feedforward_dim, self.dropout_rate = feedforward_dim, dropout
        self.positions, self.cross_attention = positions, cross_attention
        self.known_places = context_length if positions == "learned" else None
        options = {"dtype": self.dtype_policy}
        normal = keras.initializers.RandomNormal
        self.embedding = embedding or keras.layers.ReversibleEmbedding(
            vocabulary_size,
            model_dim,
            embeddings_initializer=normal(stddev=_INITIAL),
            reverse_dtype="float32",
            name="embedding",
            **options,
        )
        self.position_embedding = None
        if positions == "learned":
            self.position_embedding = keras.layers.Embedding(
                context_length,
                model_dim,
                embeddings_initializer=normal(stddev=_INITIAL),
                name="position_embedding",
                **options,
            )
        # What a stack adds grows with the number of parts that add.
        parts = num_layers * (3 if cross_attention else 2)
        self.blocks = [
            TransformerBlock(
                model_dim,
                num_heads,
                feedforward_dim,
                dropout,
                cross_attention,
                output_initializer=keras.initializers.VarianceScaling(
                    1.0 / parts, "fan_avg", "uniform"
                ),
                name=f"block_{place}",
                **options,
            )
            for place in range(num_layers)
        ]
        self.final_norm = keras.layers.LayerNormalization(
            epsilon=1e-5, name="final_norm", **options
        )
        self.dropout = keras.layers.Dropout(dropout, name="dropout", **options)

    def build(self, input_shape: Any = None) -> None:
        if not self.embedding.built:
            self.embedding.build()
        if self.position_embedding is not None:
            self.position_embedding.build()
        for block in self.blocks:
            block.build()
        self.final_norm.build((None, None, self.model_dim))
        self.dropout.build((None, None, self.model_dim))
        self.built = True

    def call(
        self,
        tokens: Any,
        hidden: Any,
        positions: Any,
        memory: list[KeysAndValues] | None = None,
        memory_hidden: Any = None,
        cache: list[KeysAndValues] | None = None,
        place: Any = None,
        added: Any = None,
        training: bool = False,
    ) -> tuple[Any, list[KeysAndValues]]:
        """Features of tokens.

        Args:
            tokens: Ints `[batch, length]`.
            hidden: Which positions do not see which; see `Attention.call`.
            positions: Place of each token in its text, ints `[batch or 1, length]`.
            memory: What `memory_keys` gave, where the blocks attend to a memory.
            memory_hidden: Which places of the memory are not seen.
            cache: What `empty_cache` gave, or an earlier call returned.
            place: Where these tokens stand in the cache, an int scalar.
            added: Added to each token's vector, such as a latent vector, `[batch, 1, model_dim]`.
            training: Whether to drop.

        Returns:
            `[batch, length, model_dim]`, and the keys and values of each block.
        """
        # The table starts small, as its rows are also those that logits are made by.
        x = self.embedding(tokens) * math.sqrt(self.model_dim)
        turn = None
        if self.position_embedding is None:
            turn = rotation(positions, self.model_dim // self.num_heads)
        else:
            x = x + self.position_embedding(positions) * math.sqrt(self.model_dim)
        if added is not None:
            x = x + ops.cast(added, x.dtype)
        x = self.dropout(x, training=training)
        attended = []
        for number, block in enumerate(self.blocks):
            x, keys_and_values = block(
                x,
                hidden=hidden,
                turn=turn,
                memory=None if memory is None else memory[number],
                memory_hidden=memory_hidden,
                cache=None if cache is None else cache[number],
                place=place,
                training=training,
            )
            attended.append(keys_and_values)
        return self.final_norm(x), attended

    def logits(self, features: Any) -> Any:
        """Logits over the vocabulary, float32 `[..., vocabulary_size]`."""
        return self.embedding(features, reverse=True)

    def memory_keys(self, memory: Any) -> list[KeysAndValues]:
        """What a memory `[batch, length, model_dim]` offers to each block."""
        return [block.memory_keys(memory) for block in self.blocks]

    def empty_cache(self, batch: Any, length: int) -> list[KeysAndValues]:
        """Room for the keys and values of `length` tokens in each block."""
        shape = (batch, self.num_heads, length, self.model_dim // self.num_heads)
        return [
            KeysAndValues(tf.zeros(shape, self.compute_dtype), tf.zeros(shape, self.compute_dtype))
            for _ in self.blocks
        ]


def hidden_from(segments: Any) -> Any:
    """Each position sees those of its own segment that are not behind it, and no others.

    Args:
        segments: Ints `[batch, length]`.

    Returns:
        bool `[batch, 1, length, length]`, true where a position is not seen.
    """
    places = ops.arange(ops.shape(segments)[1])
    later = places[None, :] > places[:, None]
    other = segments[:, :, None] != segments[:, None, :]
    return ops.logical_or(later, other)[:, None]
