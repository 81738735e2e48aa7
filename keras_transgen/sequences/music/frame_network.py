"""Frames in time by gated recurrent units, notes within a frame one after the other."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from keras_transgen.sequences.music.note_codec import END, FIRST
from keras_transgen.sequences.recurrent_stack import run_recurrence

# Of a token that cannot be; finite, so that half precision has a place for it.
_NEVER = -1e9


class FrameNetwork(keras.layers.Layer):
    """The probability of each note given the frames before and the notes above it.

    A frame is the sum of the embeddings of its tokens, once by pitch and once by pitch and rank,
    and of its place in a period. Layers of gated recurrent units read frames, each added to what
    it reads; two dense layers read what they say of the frames before, and the notes above.

    Args:
        vocabulary_size: How many tokens there are.
        max_notes: Most notes of a frame.
        num_layers: Layers of units.
        model_dim: Units of a layer.
        note_dim: Units of the dense layers.
        dropout: Share dropped in training.
        period: Frames after which places begin again.
        **kwargs: As in `keras.layers.Layer`.

    Reference:
        Boulanger-Lewandowski, Bengio and Vincent, "Modeling temporal dependencies in
        high-dimensional sequences", 2012 (an exact or approximate model of a frame in a recurrent
        network); Larochelle and Murray, "The neural autoregressive distribution estimator", 2011.
    """

    def __init__(
        self,
        vocabulary_size: int,
        max_notes: int,
        num_layers: int,
        model_dim: int,
        note_dim: int,
        dropout: float,
        period: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vocabulary_size, self.max_notes = vocabulary_size, max_notes
        self.num_layers, self.model_dim, self.note_dim = num_layers, model_dim, note_dim
        self.dropout_rate, self.period = dropout, period
        options = {"dtype": self.dtype_policy}
        embedding, dense = keras.layers.Embedding, keras.layers.Dense
        ranked = max_notes * vocabulary_size
        self.pitch_embedding = embedding(vocabulary_size, model_dim, name="pitch", **options)
        self.ranked_embedding = embedding(ranked, model_dim, name="ranked_pitch", **options)
        self.place_embedding = embedding(period, model_dim, name="place", **options)
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
        self.from_frames = dense(note_dim, name="from_frames", **options)
        self.above_embedding = embedding(vocabulary_size, note_dim, name="above", **options)
        self.ranked_above_embedding = embedding(ranked, note_dim, name="ranked_above", **options)
        self.rank_embedding = embedding(max_notes, note_dim, name="rank", **options)
        self.inner = dense(note_dim, activation="gelu", name="inner", **options)
        self.outer = dense(vocabulary_size, name="logits", dtype="float32")
        self.dropout = keras.layers.Dropout(dropout, name="dropout", **options)

    def build(self, input_shape: Any = None) -> None:
        frames, notes = (None, None, self.model_dim), (None, self.note_dim)
        for each in (
            self.pitch_embedding,
            self.ranked_embedding,
            self.place_embedding,
            self.above_embedding,
            self.ranked_above_embedding,
            self.rank_embedding,
        ):
            each.build()
        for each in (*self.recurrences, self.from_frames, self.dropout):
            each.build(frames)
        self.inner.build(notes)
        self.outer.build(notes)
        self.built = True

    def empty_states(self, batch: Any) -> list[Any]:
        """The states before a piece."""
        return [tf.zeros((batch, self.model_dim), self.compute_dtype) for _ in self.recurrences]

    def read(
        self, tokens: Any, places: Any, states: list[Any], training: bool = False
    ) -> tuple[Any, list[Any]]:
        """What frames say of the one that follows each.

        Args:
            tokens: Ints `[batch, frames, max_notes]`.
            places: Of the frames that follow, in their piece, ints `[batch, frames]`.
            states: `empty_states`, or what an earlier call returned.
            training: Whether to drop.

        Returns:
            `[batch, frames, note_dim]`, and the states behind them.
        """
        by_pitch = ops.sum(self.pitch_embedding(tokens), axis=2)
        by_rank = ops.sum(self.ranked_embedding(self._ranked(tokens)), axis=2)
        x = by_pitch + by_rank + self.place_embedding(places % self.period)
        x = self.dropout(x, training=training)
        after = []
        for recurrence, state in zip(self.recurrences, states):
            found, state = run_recurrence(recurrence, x, state)
            x = x + self.dropout(found, training=training)
            after.append(state)
        return self.from_frames(x), after

    def above(self, token: Any, rank: Any) -> Any:
        """What notes add to what is known of those below them.

        Args:
            token: Ints `[...]`.
            rank: Their ranks in their frames, 0 the highest, ints of a shape that fits.

        Returns:
            `[..., note_dim]`.
        """
        ranked = token + rank * self.vocabulary_size
        return self.above_embedding(token) + self.ranked_above_embedding(ranked)

    def note_logits(self, known: Any, previous: Any, rank: Any, training: bool = False) -> Any:
        """Logits of notes: of those below the previous one, or of no further one.

        Args:
            known: The sum of what the frames before and the notes above say, `[..., note_dim]`.
            previous: The note above, `vocabulary_size` where there is none, ints `[...]`.
            rank: Ranks of the notes, ints of a shape that fits.
            training: Whether to drop.

        Returns:
            float32 `[..., vocabulary_size]`.
        """
        x = ops.gelu(known + self.rank_embedding(rank))
        x = self.inner(self.dropout(x, training=training))
        logits = self.outer(self.dropout(x, training=training))
        token = tf.range(self.vocabulary_size)
        possible = (token == END) | ((token >= FIRST) & (token < previous[..., None]))
        return tf.where(possible, logits, _NEVER)

    def call(
        self,
        tokens: Any,
        following: Any,
        places: Any,
        states: list[Any] | None = None,
        training: bool = False,
    ) -> tuple[Any, list[Any]]:
        """Logits of the notes of frames.

        Args:
            tokens: The frame before each, ints `[batch, frames, max_notes]`.
            following: Their own tokens, shaped alike.
            places: Their places in their pieces, ints `[batch, frames]`.
            states: As in `read`; `None` before a piece.
            training: Whether to drop.

        Returns:
            float32 `[batch, frames, max_notes, vocabulary_size]`, and the states.
        """
        if states is None:
            states = self.empty_states(tf.shape(tokens)[0])
        known, states = self.read(tokens, places, states, training=training)
        ranks = tf.range(self.max_notes)
        above = tf.cumsum(self.above(following, ranks), axis=2, exclusive=True)
        previous = notes_above(following, self.vocabulary_size)
        return self.note_logits(known[:, :, None] + above, previous, ranks, training), states

    def _ranked(self, tokens: Any) -> Any:
        return tokens + tf.range(self.max_notes) * self.vocabulary_size


def notes_above(tokens: Any, vocabulary_size: int) -> Any:
    """The token above each, `vocabulary_size` above the highest.

    Args:
        tokens: Ints `[batch, frames, max_notes]`.
        vocabulary_size: How many tokens there are.
    """
    return tf.pad(tokens[..., :-1], [[0, 0], [0, 0], [1, 0]], constant_values=vocabulary_size)
