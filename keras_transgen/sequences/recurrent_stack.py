"""Tokens in, features out: an embedding and layers of gated recurrent units."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from keras_transgen.sequences.token_codecs import PADDING


class RecurrentStack(keras.layers.Layer):
    """Layers of gated recurrent units, called as a `TransformerStack` is.

    What a Transformer finds in its caches is a state here, one vector a layer; padding leaves it as
    it is, in front of a text too.

    Args:
        vocabulary_size: How many tokens there are.
        num_layers: Layers of units, each added to what it reads.
        model_dim: Size of the vectors, and units of a layer.
        dropout: Share of what each layer adds that is dropped in training.
        embedding: The `keras.layers.ReversibleEmbedding` of another stack, which is shared.
        **kwargs: As in `keras.layers.Layer`.

    Reference:
        Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical
        machine translation", 2014.
    """

    # Order is in the states.
    known_places = None

    def __init__(
        self,
        vocabulary_size: int,
        num_layers: int,
        model_dim: int,
        dropout: float,
        embedding: keras.layers.Layer,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vocabulary_size, self.num_layers, self.model_dim = (
            vocabulary_size,
            num_layers,
            model_dim,
        )
        options = {"dtype": self.dtype_policy}
        self.embedding = embedding
        self.norms = [
            keras.layers.LayerNormalization(epsilon=1e-5, name=f"norm_{place}", **options)
            for place in range(num_layers)
        ]
        self.recurrences = [
            keras.layers.RNN(
                keras.layers.GRUCell(model_dim, **options),
                return_sequences=True,
                return_state=True,
                name=f"recurrence_{place}",
                **options,
            )
            for place in range(num_layers)
        ]
        self.final_norm = keras.layers.LayerNormalization(
            epsilon=1e-5, name="final_norm", **options
        )
        self.dropout = keras.layers.Dropout(dropout, name="dropout", **options)

    def build(self, input_shape: Any = None) -> None:
        vectors = (None, None, self.model_dim)
        if not self.embedding.built:
            self.embedding.build()
        for each in (*self.norms, *self.recurrences, self.final_norm, self.dropout):
            each.build(vectors)
        self.built = True

    def call(
        self,
        tokens: Any,
        hidden: Any = None,
        positions: Any = None,
        cache: list[Any] | None = None,
        place: Any = None,
        added: Any = None,
        training: bool = False,
    ) -> tuple[Any, list[Any]]:
        """Features of tokens.

        Args:
            tokens: Ints `[batch, length]`.
            hidden: Not used; nothing sees what comes later.
            positions: Not used.
            cache: The states before them: what `empty_cache` gave, or an earlier call returned.
            place: Not used.
            added: Added to each token's vector, such as a latent vector, `[batch, 1, model_dim]`.
            training: Whether to drop.

        Returns:
            `[batch, length, model_dim]`, and the states behind them.
        """
        x = self.embedding(tokens) * math.sqrt(self.model_dim)
        if added is not None:
            x = x + ops.cast(added, x.dtype)
        x = self.dropout(x, training=training)
        states = self.empty_cache(tf.shape(tokens)[0], 1) if cache is None else cache
        after = []
        for norm, recurrence, state in zip(self.norms, self.recurrences, states):
            found, state = run_recurrence(recurrence, norm(x), state, tokens != PADDING)
            x = x + self.dropout(found, training=training)
            after.append(state)
        return self.final_norm(x), after

    def logits(self, features: Any) -> Any:
        """Logits over the vocabulary, float32 `[..., vocabulary_size]`."""
        return self.embedding(features, reverse=True)

    def empty_cache(self, batch: Any, length: int) -> list[Any]:
        """The states before a text, whatever its length."""
        return [tf.zeros((batch, self.model_dim), self.compute_dtype) for _ in self.recurrences]


def run_recurrence(recurrence: Any, x: Any, state: Any, present: Any = None) -> tuple[Any, Any]:
    """What a layer of units says of each vector, and its state behind them.

    Args:
        recurrence: A `keras.layers.RNN` of one state, which returns sequences and its state.
        x: `[batch, length, size]`.
        state: Before them.
        present: Which of them count, bool `[batch, length]`; others leave the state as it is.
            Defaults to all.
    """
    if x.shape[1] != 1:
        return recurrence(x, initial_state=[state], mask=present)
    # One token needs no loop, which would stand in the loop that generates.
    _, (after,) = recurrence.cell(x[:, 0], [state])
    after = after if present is None else tf.where(present, after, state)
    return after[:, None], after
