"""Generation by a language model: prompts read at once, then token by token from caches."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from keras_transgen.sequences.continuations import continuations
from keras_transgen.sequences.decoding.compiled_choice import compiled_choice
from keras_transgen.sequences.decoding.sampling_loop import Choose, Generated, sampling_loop
from keras_transgen.sequences.decoding.token_choice import Choice
from keras_transgen.sequences.decoding.uniforms import uniform_rows
from keras_transgen.sequences.sequence_model import check_known
from keras_transgen.sequences.sizes import check_whole
from keras_transgen.sequences.token_codecs import END, PADDING, START, UNKNOWN
from keras_transgen.sequences.token_rows import groups, rounded
from keras_transgen.sequences.transformer.stack import TransformerStack
from keras_transgen.sequences.vocabulary import Vocabulary

_NEVER = -1e30


class TokenNetwork(Protocol):
    """What generation needs of a network: a `TransformerStack` or a `RecurrentStack`."""

    vocabulary_size: int
    # How many places it tells apart; `None` where any will do.
    known_places: int | None

    def __call__(
        self, tokens: Any, hidden: Any, positions: Any, *, cache: Any, place: Any, added: Any
    ) -> tuple[Any, Any]:
        """Features of tokens, and what the next call goes on from."""

    def logits(self, features: Any) -> Any:
        """Logits over the vocabulary."""

    def empty_cache(self, batch: Any, length: int) -> Any:
        """What the first call begins with."""


class Language(Protocol):
    """What generation needs of a language model."""

    vocabulary: Vocabulary
    context_length: int
    network: TransformerStack
    kept_functions: dict[Any, Any]


def generated_texts(
    model: Language,
    prompts: Sequence[str],
    max_tokens: int,
    choice: Choice,
    seed: int | None,
    stop: str | Sequence[str],
) -> list[str]:
    """Continuations of prompts; see `LanguageModel.generate`."""
    check_whole("max_tokens", max_tokens)
    tokens = [[START, *each] for each in model.vocabulary.encode(list(prompts))]
    check_known(tokens, "prompts")
    lengths = [len(each) for each in tokens]
    if max(lengths) > model.context_length:
        raise ValueError(
            f"A prompt has at most context_length - 1 = {model.context_length - 1} tokens: keep "
            f"its end. Received: one of {max(lengths) - 1} tokens"
        )
    stops = _stop_tokens(model.vocabulary, stop)
    uniforms = uniform_rows(len(tokens), max_tokens, seed)
    found: list[list[int]] = [[] for _ in tokens]
    for rows, filled, _ in groups(lengths):
        given = [tokens[row] for row in filled]
        for row, new in zip(rows, _continued(model, given, uniforms[filled], choice, stops)):
            found[row] = new
    return continuations(model.vocabulary, prompts, tokens, found)


def _stop_tokens(vocabulary: Vocabulary, stop: str | Sequence[str]) -> np.ndarray:
    stops = np.zeros(vocabulary.size, bool)
    stops[END] = True
    for each in stop if isinstance(stop, (list, tuple)) else [stop]:
        found = vocabulary.codec.tokens_reading(each) if isinstance(each, str) else []
        if not found:
            raise ValueError(
                "What stops a text must be one token of the vocabulary: a character, or a piece. "
                f"Cut texts at longer words afterwards. Received: stop={each!r}"
            )
        stops[found] = True
    return stops


def _continued(
    model: Language,
    prompts: list[list[int]],
    uniforms: np.ndarray,
    choice: Choice,
    stops: np.ndarray,
) -> list[list[int]]:
    """The tokens that follow prompts, without their ends."""
    generate = compiled_choice(
        model.kept_functions,
        "generate",
        functools.partial(generate_tokens, model.network),
        choice,
        model.vocabulary.size,
    )
    context, (count, most) = model.context_length, uniforms.shape
    rows = list(prompts)
    found: list[list[int]] = [[] for _ in rows]
    ended = np.zeros(count, bool)
    made = 0
    while made < most and not ended.all():
        longest = max(map(len, rows))
        width = min(context, rounded(longest))
        room = min(context - longest + 1, most - made)
        tokens = np.full((count, width), PADDING, "int32")
        for line, prompt in zip(tokens, rows):
            line[width - len(prompt) :] = prompt
        drawn = np.zeros((count, min(rounded(room), context)), "float32")
        drawn[:, :room] = uniforms[:, made : made + room]
        generated = generate(*map(tf.constant, (tokens, drawn, stops, room)))
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
    return [[token for token in each if token != END] for each in found]


def generate_tokens(
    network: TokenNetwork,
    choose: Choose,
    prompts: tf.Tensor,
    uniforms: tf.Tensor,
    stops: tf.Tensor,
    most: tf.Tensor,
    added: tf.Tensor | None = None,
) -> Generated:
    """Tokens that follow prompts, from caches.

    Args:
        network: The network.
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
    last = length if network.known_places is None else network.known_places - 1
    # Neither padding nor starts nor what is not known are texts.
    never = np.isin(np.arange(network.vocabulary_size), [PADDING, START, UNKNOWN])

    def step(token: tf.Tensor, count: tf.Tensor, cache: Any) -> tuple[tf.Tensor, Any]:
        place = width + count
        hidden = before | (keys > place)[None, None, :]
        features, cache = network(
            token[:, None],
            hidden[:, None],
            tf.minimum(place - padding, last)[:, None],
            cache=cache,
            place=place,
            added=added,
        )
        return network.logits(features[:, 0]), cache

    def allowed(logits: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
        return choose(tf.where(never, _NEVER, logits), uniform)

    logits = network.logits(features[:, -1])
    return sampling_loop(step, allowed, logits, cache, uniforms, stops, most)
