"""One token after the other, in one loop that XLA compiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf
from keras import ops

from keras_transgen.sequences.token_codecs import PADDING

# From tokens int32 [batch], how many came before them, and the state, to the next logits and state.
Step = Callable[[tf.Tensor, tf.Tensor, Any], tuple[tf.Tensor, Any]]
# From logits [batch, vocabulary] and uniform numbers [batch] to tokens int32 [batch].
Choose = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def rows_in(tensor: tf.Tensor) -> Any:
    """How many rows a tensor has: a number where it is known, as loops want it, else a tensor.

    Args:
        tensor: `[rows, ...]`.
    """
    return tf.shape(tensor)[0] if tensor.shape[0] is None else tensor.shape[0]


class Generated(NamedTuple):
    """What a loop leaves, with which another goes on.

    Attributes:
        tokens: int32 `[batch, steps]`, padding behind the ends.
        ended: Which rows have met a stop token, bool `[batch]`.
        count: How many tokens were generated, an int32 scalar.
        logits: Those of the token that would be next, `[batch, vocabulary]`.
        state: The model's.
    """

    tokens: tf.Tensor
    ended: tf.Tensor
    count: tf.Tensor
    logits: tf.Tensor
    state: Any


def sampling_loop(
    step: Step,
    choose: Choose,
    logits: tf.Tensor,
    state: Any,
    uniforms: tf.Tensor,
    stops: tf.Tensor,
    most: tf.Tensor,
) -> Generated:
    """Generate until every row has met a stop token, or there are as many tokens as asked for.

    Args:
        step: The model, which sees one token of each row.
        choose: From logits `[batch, vocabulary]` and uniform numbers `[batch]` to tokens.
        logits: Those of the first token.
        state: The model's state before it, such as its caches.
        uniforms: `[batch, steps]` in [0, 1).
        stops: Which tokens end a row, bool `[vocabulary]`.
        most: At most so many tokens, an int32 scalar of at most `steps`.
    """
    batch, steps = rows_in(uniforms), uniforms.shape[1]
    tokens = tf.fill([batch, steps], tf.constant(PADDING))

    def more(count: tf.Tensor, ended: tf.Tensor, *_: Any) -> tf.Tensor:
        return (count < most) & ~tf.reduce_all(ended)

    def one(
        count: tf.Tensor, ended: tf.Tensor, tokens: tf.Tensor, logits: tf.Tensor, state: Any
    ) -> tuple:
        uniform = tf.gather(uniforms, count, axis=1)
        token = tf.where(ended, PADDING, choose(logits, uniform))
        tokens = ops.slice_update(tokens, (0, count), token[:, None])
        ended |= tf.gather(stops, token) & ~ended
        logits, state = step(token, count, state)
        return count + 1, ended, tokens, logits, state

    start = (tf.constant(0), tf.zeros([batch], tf.bool), tokens, logits, state)
    count, ended, tokens, logits, state = tf.while_loop(more, one, start)
    return Generated(tokens, ended, count, logits, state)
