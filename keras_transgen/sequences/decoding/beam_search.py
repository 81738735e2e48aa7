"""Beam search: the best of several hypotheses, kept side by side.

A hypothesis that has ended is kept with the score that it had, and takes no place among those that
go on.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf
from keras import ops

from keras_transgen.sequences.decoding.sampling_loop import Step, rows_in
from keras_transgen.sequences.token_codecs import END, PADDING

# Below every sum of log-probabilities, and still finite.
_NONE = -1e30


class Hypotheses(NamedTuple):
    """What a search found, the best first.

    Attributes:
        tokens: int32 `[batch, beam_width, steps]`, ends included, padding behind them.
        scores: log p divided by the length to the power of `length_penalty`,
            `[batch, beam_width]`; of what has no end within the steps -1e30.
    """

    tokens: tf.Tensor
    scores: tf.Tensor


def beam_search(
    step: Step,
    logits: tf.Tensor,
    state: Any,
    beam_width: int,
    steps: int,
    most: tf.Tensor,
    length_penalty: tf.Tensor,
    never: tf.Tensor,
) -> Hypotheses:
    """Search for the token sequences with the highest score.

    The score of a sequence of `n` tokens, its end included, is `log p / n ** length_penalty`. The
    search ends when nothing that still goes on can score more than what has ended. Where nothing
    ends within `most` tokens, what is likeliest so far is returned.

    Args:
        step: The model; sees one token of each of `batch * beam_width` rows.
        logits: Those of the first token, `[batch, vocabulary]`.
        state: The model's state before it, `[batch * beam_width, ...]`, the rows of an example one
            after the other.
        beam_width: Hypotheses that go on, and as many that have ended.
        steps: Room for so many tokens.
        most: At most so many tokens, ends included, an int32 scalar of at most `steps`.
        length_penalty: At least 0.
        never: Tokens that no text has, bool `[vocabulary]`.

    Reference:
        Freitag and Al-Onaizan, "Beam search strategies for neural machine translation", 2017.
    """
    batch, size = rows_in(logits), logits.shape[1]
    room = tf.fill([batch, beam_width, steps], tf.constant(PADDING))
    scores = tf.repeat(tf.constant([[0.0] + [_NONE] * (beam_width - 1)]), batch, axis=0)
    nothing = tf.fill([batch, beam_width], _NONE)
    continues = tf.where(never | (tf.range(size) == END), _NONE, 0.0)

    def penalised(score: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        return score / tf.pow(tf.cast(length, tf.float32), length_penalty)

    def more(count: tf.Tensor, scores: tf.Tensor, _: Any, ended: tf.Tensor, *__: Any) -> tf.Tensor:
        # Longer is never likelier, and divided by the most that it can be.
        reachable = penalised(tf.reduce_max(scores, axis=1), most)
        return (count < most) & tf.reduce_any(tf.reduce_min(ended, axis=1) < reachable)

    def one(
        count: tf.Tensor,
        scores: tf.Tensor,
        tokens: tf.Tensor,
        ended: tf.Tensor,
        ended_tokens: tf.Tensor,
        logits: tf.Tensor,
        state: Any,
    ) -> tuple:
        following = tf.nn.log_softmax(tf.reshape(logits, [batch, beam_width, size]))
        totals = scores[..., None] + following
        ending = tf.where(scores > _NONE / 2, penalised(totals[:, :, END], count + 1), _NONE)
        with_end = ops.slice_update(tokens, (0, 0, count), tf.fill([batch, beam_width, 1], END))
        ended, best = tf.math.top_k(tf.concat([ended, ending], axis=1), beam_width)
        ended_tokens = tf.gather(tf.concat([ended_tokens, with_end], axis=1), best, batch_dims=1)
        flat = tf.reshape(tf.maximum(totals + continues, _NONE), [batch, beam_width * size])
        scores, chosen = tf.math.top_k(flat, beam_width)
        beam, token = chosen // size, chosen % size
        tokens = tf.gather(tokens, beam, batch_dims=1)
        tokens = ops.slice_update(tokens, (0, 0, count), token[..., None])
        rows = tf.reshape(beam + tf.range(batch)[:, None] * beam_width, [-1])
        state = tf.nest.map_structure(lambda each: tf.gather(each, rows), state)
        logits, state = step(tf.reshape(token, [-1]), count, state)
        return count + 1, scores, tokens, ended, ended_tokens, logits, state

    logits = tf.repeat(logits, beam_width, axis=0)
    start = (tf.constant(0), scores, room, nothing, room, logits, state)
    _, scores, tokens, ended, ended_tokens, *_ = tf.while_loop(more, one, start)
    without = ended[:, :1] <= _NONE / 2
    return Hypotheses(tf.where(without[..., None], tokens, ended_tokens), ended)
