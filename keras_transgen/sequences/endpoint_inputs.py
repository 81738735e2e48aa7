"""What endpoints of models of texts are given: strings and numbers in an exported graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from keras_transgen.generative.serving import stateless_seed
from keras_transgen.sequences.decoding.token_choice import (
    LEAST_TEMPERATURE,
    Choice,
    likeliest,
    next_tokens,
)
from keras_transgen.sequences.token_codecs import PADDING, START, PieceCodec
from keras_transgen.sequences.vocabulary import Vocabulary

TEXTS = tf.TensorSpec([None], tf.string, "texts")
MAX_TOKENS = tf.TensorSpec([], tf.int32, "max_tokens")
TEMPERATURE = tf.TensorSpec([], tf.float32, "temperature")
LENGTH_PENALTY = tf.TensorSpec([], tf.float32, "length_penalty")
_WIDTHS = 16


def refuse_signature(model: Any, input_signature: Any) -> None:
    """Refuse a signature of the user's: texts are strings.

    Args:
        model: The model.
        input_signature: As given to `export`.
    """
    if input_signature is not None:
        raise ValueError(
            f"{type(model).__name__} knows what its signatures take: leave input_signature out. "
            f"Received: input_signature={input_signature}"
        )


def graph_resources(vocabularies: Sequence[Vocabulary]) -> tuple[Any, ...]:
    """What TensorFlow must save besides variables: SentencePiece's models."""
    codecs = [each.codec for each in vocabularies]
    return tuple(each.in_graph for each in codecs if isinstance(each, PieceCodec))


def prompt_rows(vocabulary: Vocabulary, texts: tf.Tensor, width: int) -> tf.Tensor:
    """Prompts as generation reads them: their last tokens, padding in front.

    Args:
        vocabulary: Their vocabulary.
        texts: Strings `[batch]`.
        width: Tokens of a row, the start token included.

    Returns:
        int32 `[batch, width]`.
    """
    starts = tf.fill([tf.shape(texts)[0], 1], START)
    tokens = tf.concat([starts, vocabulary.tokenize(texts)], axis=1)[:, -width:]
    lengths = tf.cast(tokens.row_lengths(), tf.int32)
    dense = tokens.to_tensor(PADDING, shape=[None, width])
    places = tf.range(width)[None] - (width - lengths[:, None])
    return tf.where(places < 0, PADDING, tf.gather(dense, tf.maximum(places, 0), batch_dims=1))


def in_widths(tokens: tf.Tensor) -> tf.Tensor:
    """Rows of tokens, filled up to few widths, so that few programs are compiled.

    Args:
        tokens: int32 `[batch, length]`.
    """
    return tf.pad(tokens, [[0, 0], [0, (-tf.shape(tokens)[1]) % _WIDTHS]])


def uniforms_of(seed: tf.Tensor, rows: tf.Tensor, steps: int) -> tf.Tensor:
    """Uniform numbers `[rows, steps]`.

    Args:
        seed: int64 scalar.
        rows: How many rows.
        steps: Numbers of a row.
    """
    drawn = tf.random.stateless_uniform([rows, steps], stateless_seed(seed))
    return tf.ensure_shape(drawn, [None, steps])


def chosen_at(temperature: tf.Tensor, vocabulary_size: int) -> Callable[..., tf.Tensor]:
    """A choice of tokens at a temperature that a graph is given; 0 takes the likeliest.

    Args:
        temperature: Float scalar.
        vocabulary_size: How many tokens there are.
    """
    at_all = Choice().numbers(vocabulary_size)[1:]

    def choose(logits: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
        draws = temperature >= LEAST_TEMPERATURE
        drawn = next_tokens("all", logits, uniform, (tf.where(draws, temperature, 1.0), *at_all))
        return tf.where(draws, drawn, likeliest(logits, uniform))

    return choose
