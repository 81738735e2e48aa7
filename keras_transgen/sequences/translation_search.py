"""Targets for sources: greedy, drawn, or by beam search, from caches."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from keras_transgen.sequences.copying import Mixture, Pointer, all_log_probabilities
from keras_transgen.sequences.decoding.beam_search import beam_search
from keras_transgen.sequences.decoding.compiled_choice import compiled_choice, compiled_loop
from keras_transgen.sequences.decoding.sampling_loop import (
    Choose,
    Step,
    rows_in,
    sampling_loop,
)
from keras_transgen.sequences.decoding.token_choice import Choice
from keras_transgen.sequences.decoding.uniforms import uniform_rows
from keras_transgen.sequences.sequence_model import check_known
from keras_transgen.sequences.sizes import check_whole
from keras_transgen.sequences.token_codecs import END, PADDING, START, UNKNOWN
from keras_transgen.sequences.token_rows import groups, rounded, same_length
from keras_transgen.sequences.transformer.stack import TransformerStack
from keras_transgen.sequences.vocabulary import Vocabulary

_NEVER = -1e30


class Translator(Protocol):
    """What the search, and endpoints, need of a model."""

    source_vocabulary: Vocabulary
    target_vocabulary: Vocabulary
    context_length: int
    decoder: TransformerStack
    pointer: Pointer | None
    kept_functions: dict[Any, Any]

    def encode(self, source: Any, training: bool = False) -> tuple[Any, Any]:
        """Features of sources, and which places are padding."""

    def tokens_of(self, texts: Any) -> tf.Tensor:
        """Tokens of sources."""


def translated(
    model: Translator,
    sources: Sequence[str],
    beam_width: int,
    length_penalty: float,
    max_tokens: int | None,
    choice: Choice,
    seed: int | None,
) -> list[str]:
    """A text for each source; see `SequenceToSequence.generate`."""
    _check(beam_width, length_penalty, max_tokens, choice)
    tokens = model.source_vocabulary.encode(list(sources), end=True)
    check_known(tokens, "sources")
    lengths = np.array([len(each) for each in tokens])
    if lengths.max() > model.context_length:
        raise ValueError(
            f"The model reads sources of at most {model.context_length} tokens. "
            f"Received: one of {lengths.max()}, in row {int(lengths.argmax())}"
        )
    most = max_tokens or rounded(1) + 2 * int(lengths.max())
    most = min(most, model.context_length)
    steps = rounded(most)
    if beam_width > 1:
        search = functools.partial(
            _beam_search(model, beam_width, steps),
            tf.constant(most),
            tf.constant(length_penalty, tf.float32),
        )
    else:
        uniforms = uniform_rows(len(tokens), steps, seed)
        write = compiled_choice(
            model.kept_functions,
            "translate",
            functools.partial(translated_tokens, model),
            choice,
            model.target_vocabulary.size,
        )
    found: list[list[int]] = [[] for _ in tokens]
    for rows, filled, width in groups(lengths):
        source = tf.constant(same_length([tokens[row] for row in filled], width))
        if beam_width > 1:
            written = search(source)
        else:
            written = write(tf.constant(most), tf.constant(uniforms[filled]), source)
        for row, each in zip(rows, written.numpy()):
            found[row] = each.tolist()
    return model.target_vocabulary.decode(found)


def _check(beam_width: Any, length_penalty: Any, max_tokens: Any, choice: Choice) -> None:
    check_whole("beam_width", beam_width)
    if max_tokens is not None:
        check_whole("max_tokens", max_tokens)
    if not 0.0 <= length_penalty < math.inf:
        raise ValueError(
            f"length_penalty must be at least 0. Received: length_penalty={length_penalty!r}"
        )
    if beam_width > 1 and choice != Choice(0.0):
        raise ValueError(
            "A beam keeps what is likeliest and draws nothing: leave temperature, top_k and top_p, "
            f"or take beam_width=1. Received: beam_width={beam_width}, {choice.said()}"
        )
    if beam_width == 1 and length_penalty != 1.0:
        raise ValueError(
            "A length penalty compares the hypotheses of a beam: give beam_width too. "
            f"Received: beam_width=1, length_penalty={length_penalty!r}"
        )


def _beam_search(model: Translator, beam_width: int, steps: int) -> Any:
    key = ("beam", beam_width, steps)
    if key not in model.kept_functions:
        found = functools.partial(searched_tokens, model, beam_width, steps)
        model.kept_functions[key] = compiled_loop(found)
    return model.kept_functions[key]


def translated_tokens(
    model: Translator, choose: Choose, most: tf.Tensor, uniforms: tf.Tensor, source: tf.Tensor
) -> tf.Tensor:
    """The tokens of a target for each source, one chosen after the other, int32 `[batch, steps]`.

    Args:
        model: The model.
        choose: From logits and uniform numbers to tokens.
        most: Most tokens.
        uniforms: `[batch, steps]`.
        source: int32 `[batch, length]`.
    """
    start = _started(model, source, uniforms.shape[1], 1)

    def allowed(logits: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
        return choose(tf.where(start.never, _NEVER, logits), uniform)

    ends = tf.constant(np.arange(model.target_vocabulary.size) == END)
    return sampling_loop(
        start.step, allowed, start.logits, start.cache, uniforms, ends, most
    ).tokens


def searched_tokens(
    model: Translator,
    beam_width: int,
    steps: int,
    most: tf.Tensor,
    length_penalty: tf.Tensor,
    source: tf.Tensor,
) -> tf.Tensor:
    """The same by a beam search.

    Args:
        model: The model.
        beam_width: Hypotheses side by side.
        steps: Room for so many tokens.
        most: Most tokens.
        length_penalty: Of the search.
        source: int32 `[batch, length]`.
    """
    step, logits, cache, never = _started(model, source, steps, beam_width)
    cache = tf.nest.map_structure(lambda each: tf.repeat(each, beam_width, axis=0), cache)
    found = beam_search(
        step, logits, cache, beam_width, steps, most, length_penalty, tf.constant(never)
    )
    return found.tokens[:, 0]


class _Start(NamedTuple):
    """A decoder that has read the start token: how it goes on, and what it says next."""

    step: Step
    logits: tf.Tensor
    cache: Any
    never: np.ndarray


def _started(model: Translator, source: tf.Tensor, steps: int, beam_width: int) -> _Start:
    decoder, pointer = model.decoder, model.pointer
    memory, hidden = model.encode(source)
    keys = decoder.memory_keys(memory)
    # Nothing where there is no pointer; `None` is no tensor.
    pointer_keys = () if pointer is None else pointer.key(memory)
    shared = (keys, hidden, pointer_keys, source)
    # What an example's hypotheses share does not move with them.
    repeated = tf.nest.map_structure(lambda each: tf.repeat(each, beam_width, axis=0), shared)

    def step_with(shared: Any, token: Any, place: Any, cache: Any) -> tuple[tf.Tensor, Any]:
        keys, hidden, pointer_keys, source = shared
        later = tf.range(steps + 1)[None, None, None, :] > place
        features, cache = decoder(
            token[:, None],
            later,
            tf.reshape(place, [1, 1]),
            memory=keys,
            memory_hidden=hidden,
            cache=cache,
            place=place,
        )
        logits = decoder.logits(features)
        if pointer is not None:
            mixture = Mixture(logits, *pointer(features, pointer_keys, hidden[:, 0]))
            logits = all_log_probabilities(mixture, source)
        return logits[:, 0], cache

    def step(token: tf.Tensor, count: tf.Tensor, cache: Any) -> tuple[tf.Tensor, Any]:
        return step_with(repeated, token, count + 1, cache)

    batch = rows_in(source)
    cache = decoder.empty_cache(batch, steps + 1)
    logits, cache = step_with(shared, tf.fill([batch], START), tf.constant(0), cache)
    never = np.isin(np.arange(model.target_vocabulary.size), [PADDING, START, UNKNOWN])
    return _Start(step, logits, cache, never)
