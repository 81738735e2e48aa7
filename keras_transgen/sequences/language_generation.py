"""Generation by a language model: prompts read at once, then token by token from caches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from keras_transgen.sequences.decoding.sampling_loop import Choose, Generated, sampling_loop
from keras_transgen.sequences.decoding.token_choice import Choice, chosen_by
from keras_transgen.sequences.decoding.uniforms import uniform_rows
from keras_transgen.sequences.sequence_model import check_whole
from keras_transgen.sequences.token_codecs import END, PADDING, START, UNKNOWN
from keras_transgen.sequences.transformer.stack import TransformerStack
from keras_transgen.sequences.vocabulary import Vocabulary

_ROWS_AT_A_TIME = 64
# Lengths are rounded up to multiples of it, so that few programs are compiled.
_LENGTHS = 16
_NEVER = -1e30


class Generator(Protocol):
    """What generation needs of a language model."""

    vocabulary: Vocabulary
    context_length: int
    network: TransformerStack
    _functions: dict[Any, Any]


def generated_texts(
    model: Generator,
    prompts: Sequence[str],
    max_tokens: int,
    choice: Choice,
    seed: int | None,
    stop: str | Sequence[str],
) -> list[str]:
    """Continuations of prompts; see `LanguageModel.generate`."""
    check_whole("max_tokens", max_tokens)
    tokens = [[START, *each] for each in model.vocabulary.encode(list(prompts))]
    longest = max(map(len, tokens))
    if longest > model.context_length:
        raise ValueError(
            f"A prompt has at most context_length - 1 = {model.context_length - 1} tokens: keep "
            f"its end. Received: one of {longest - 1} tokens"
        )
    stops = _stop_tokens(model.vocabulary, stop)
    uniforms = uniform_rows(len(tokens), max_tokens, seed)
    found: list[list[int]] = []
    for begin in range(0, len(tokens), _ROWS_AT_A_TIME):
        rows = slice(begin, begin + _ROWS_AT_A_TIME)
        found += _continued(model, tokens[rows], uniforms[rows], choice, stops)
    return model.vocabulary.decode(found)


def _stop_tokens(vocabulary: Vocabulary, stop: str | Sequence[str]) -> np.ndarray:
    stops = np.zeros(vocabulary.size, bool)
    stops[END] = True
    for each in [stop] if isinstance(stop, str) else stop:
        encoded = vocabulary.encode(each)
        if len(encoded) != 1 or encoded[0] == UNKNOWN:
            raise ValueError(
                "What stops a text must be one token of the vocabulary. "
                f"Received: stop={each!r}, which is {len(encoded)} tokens"
            )
        stops[encoded[0]] = True
    return stops


def _continued(
    model: Generator,
    prompts: Sequence[list[int]],
    uniforms: np.ndarray,
    choice: Choice,
    stops: np.ndarray,
) -> list[list[int]]:
    """The tokens that follow prompts, without their ends."""
    context, most = model.context_length, uniforms.shape[1]
    count = 2 ** math.ceil(math.log2(len(prompts)))
    # Rows that only fill up repeat the first one.
    rows = [*prompts, *[prompts[0]] * (count - len(prompts))]
    uniforms = np.concatenate([uniforms, np.repeat(uniforms[:1], count - len(uniforms), axis=0)])
    found: list[list[int]] = [[] for _ in rows]
    ended = np.zeros(count, bool)
    made = 0
    while made < most and not ended.all():
        longest = max(map(len, rows))
        width = min(context, _rounded(longest))
        room = min(context - longest + 1, most - made)
        steps = min(_rounded(room), context)
        tokens = np.full((count, width), PADDING, "int32")
        for row, prompt in zip(tokens, rows):
            row[width - len(prompt) :] = prompt
        drawn = np.zeros((count, steps), "float32")
        drawn[:, :room] = uniforms[:, made : made + room]
        generated = _function(model, choice.mode)(
            tf.constant(tokens),
            tf.constant(drawn),
            tf.constant(stops),
            tf.constant(room),
            choice.numbers(model.vocabulary.size),
        )
        taken = int(generated.count)
        for row, new in enumerate(generated.tokens.numpy()[:, :taken]):
            if not ended[row]:
                kept = new[new != PADDING].tolist()
                found[row] += kept
                rows[row] = [*rows[row], *kept]
        ended |= generated.ended.numpy()
        made += taken
        # A text that fills the context goes on from its last half; one that ended takes no room.
        for row, end in enumerate(ended):
            if end:
                rows[row] = [START]
            elif len(rows[row]) > context:
                rows[row] = rows[row][-max(1, context // 2) :]
    return [[token for token in each if token != END] for each in found[: len(prompts)]]


def _rounded(length: int) -> int:
    return _LENGTHS * math.ceil(length / _LENGTHS)


def _function(model: Generator, mode: str) -> Any:
    """The compiled generation, one a way to choose; further shapes are traced by TensorFlow."""
    key = ("generate", mode)
    if key not in model._functions:
        model._functions[key] = tf.function(
            lambda tokens, uniforms, stops, most, numbers: generate_tokens(
                model.network, chosen_by(mode, numbers), tokens, uniforms, stops, most
            ),
            # Always: outside of XLA such loops end early or compute wrongly, in silence.
            jit_compile=True,
            autograph=False,
        )
    return model._functions[key]


def generate_tokens(
    network: TransformerStack,
    choose: Choose,
    prompts: tf.Tensor,
    uniforms: tf.Tensor,
    stops: tf.Tensor,
    most: tf.Tensor,
    added: tf.Tensor | None = None,
) -> Generated:
    """Tokens that follow prompts, from caches.

    Args:
        network: The stack.
        choose: From logits `[batch, vocabulary]` and uniform numbers `[batch]` to tokens.
        prompts: int32 `[batch, width]`, padding in front.
        uniforms: `[batch, steps]`.
        stops: Which tokens end a row, bool `[vocabulary]`.
        most: At most so many tokens.
        added: Added to each token's vector, `[batch, 1, model_dim]`.
    """
    batch, width = tf.shape(prompts)[0], prompts.shape[1]
    length = width + uniforms.shape[1]
    padding = tf.reduce_sum(tf.cast(prompts == PADDING, tf.int32), axis=1)
    keys = tf.range(length)
    # Rows of one text each: what is padding, or not there yet, is hidden.
    before = keys[None, None, :] < padding[:, None, None]
    later = keys[None, None, :] > tf.range(width)[None, :, None]
    cache = network.empty_cache(batch, length)
    places = tf.range(width)[None] - padding[:, None]
    features, cache = network(
        prompts,
        (before | later)[:, None],
        tf.maximum(places, 0),
        cache=cache,
        place=0,
        added=added,
    )
    # Neither padding nor starts nor what is not known are texts.
    never = np.isin(np.arange(network.vocabulary_size), [PADDING, START, UNKNOWN])

    def step(token: tf.Tensor, count: tf.Tensor, cache: Any) -> tuple[tf.Tensor, Any]:
        place = width + count
        hidden = before | (keys > place)[None, None, :]
        features, cache = network(
            token[:, None],
            hidden[:, None],
            tf.minimum((place - padding)[:, None], network.context_length - 1)
            if network.positions == "learned"
            else (place - padding)[:, None],
            cache=cache,
            place=place,
            added=added,
        )
        return network.logits(features[:, 0]), cache

    def allowed(logits: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
        return choose(tf.where(never, _NEVER, logits), uniform)

    logits = network.logits(features[:, -1])
    return sampling_loop(step, allowed, logits, cache, uniforms, stops, most)
