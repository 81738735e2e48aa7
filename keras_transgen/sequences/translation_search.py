"""Targets for sources: greedy, drawn, or by beam search, from caches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from keras_transgen.sequences.copying import Mixture, Pointer, all_log_probabilities
from keras_transgen.sequences.decoding.beam_search import beam_search
from keras_transgen.sequences.decoding.sampling_loop import Choose, sampling_loop
from keras_transgen.sequences.decoding.token_choice import Choice, chosen_by
from keras_transgen.sequences.decoding.uniforms import uniform_rows
from keras_transgen.sequences.packing import same_length
from keras_transgen.sequences.sequence_model import check_whole
from keras_transgen.sequences.token_codecs import END, PADDING, START, UNKNOWN
from keras_transgen.sequences.transformer.stack import TransformerStack
from keras_transgen.sequences.vocabulary import Vocabulary

_ROWS_AT_A_TIME = 64
_LENGTHS = 16
_NEVER = -1e30


class Translator(Protocol):
    """What the search needs of a model."""

    source_vocabulary: Vocabulary
    target_vocabulary: Vocabulary
    context_length: int
    decoder: TransformerStack
    pointer: Pointer | None
    _functions: dict[Any, Any]

    def encode(self, source: Any, training: bool = False) -> tuple[Any, Any]:
        """Features of sources, and which places are padding."""


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
    lengths = np.array([len(each) for each in tokens])
    if lengths.max() > model.context_length:
        raise ValueError(
            f"The model reads sources of at most {model.context_length} tokens. "
            f"Received: one of {lengths.max()}, in row {int(lengths.argmax())}"
        )
    most = max_tokens or 2 * int(lengths.max()) + _LENGTHS
    most = min(most, model.context_length)
    uniforms = uniform_rows(len(tokens), most, seed)
    found: list[list[int]] = [[] for _ in tokens]
    order = np.argsort(lengths, kind="stable")
    for begin in range(0, len(order), _ROWS_AT_A_TIME):
        rows = order[begin : begin + _ROWS_AT_A_TIME]
        count = 2 ** math.ceil(math.log2(len(rows)))
        width = _LENGTHS * math.ceil(lengths[rows].max() / _LENGTHS)
        filled = np.resize(rows, count)
        steps = _LENGTHS * math.ceil(most / _LENGTHS)
        drawn = np.pad(uniforms[filled], [(0, 0), (0, steps - most)])
        written = _function(model, choice.mode, beam_width)(
            tf.constant(same_length([tokens[row] for row in filled], width)),
            tf.constant(drawn),
            tf.constant(most),
            tf.constant(length_penalty, tf.float32),
            choice.numbers(model.target_vocabulary.size),
        )
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
            f"or take beam_width=1. Received: beam_width={beam_width}, {choice}"
        )


def _function(model: Translator, mode: str, beam_width: int) -> Any:
    key = ("translate", mode, beam_width)
    if key not in model._functions:
        model._functions[key] = tf.function(
            lambda source, uniforms, most, penalty, numbers: translated_tokens(
                model, chosen_by(mode, numbers), beam_width, source, uniforms, most, penalty
            ),
            # Always: outside of XLA such loops end early or compute wrongly, in silence.
            jit_compile=True,
            autograph=False,
        )
    return model._functions[key]


def translated_tokens(
    model: Translator,
    choose: Choose,
    beam_width: int,
    source: tf.Tensor,
    uniforms: tf.Tensor,
    most: tf.Tensor,
    length_penalty: tf.Tensor,
) -> tf.Tensor:
    """The tokens of a target for each source, int32 `[batch, steps]`.

    Args:
        model: The model.
        choose: Without a beam, from logits and uniform numbers to tokens.
        beam_width: 1, or more for a beam search.
        source: int32 `[batch, length]`.
        uniforms: `[batch, steps]`.
        most: Most tokens.
        length_penalty: Of the beam search.
    """
    decoder, pointer = model.decoder, model.pointer
    batch, steps = tf.shape(uniforms)[0], uniforms.shape[1]
    memory, hidden = model.encode(source)
    keys = decoder.memory_keys(memory)
    # Nothing where there is no pointer; `None` is no tensor.
    pointer_keys = () if pointer is None else pointer.key(memory)
    # What an example's hypotheses share does not move with them.
    repeated = tf.nest.map_structure(
        lambda each: tf.repeat(each, beam_width, axis=0), (keys, hidden, pointer_keys, source)
    )
    size = model.target_vocabulary.size
    never = np.isin(np.arange(size), [PADDING, START, UNKNOWN])

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

    first = tf.fill([batch], START)
    cache = decoder.empty_cache(batch, steps + 1)

    def step(token: tf.Tensor, count: tf.Tensor, cache: Any) -> tuple[tf.Tensor, Any]:
        return step_with(repeated, token, count + 1, cache)

    logits, cache = step_with((keys, hidden, pointer_keys, source), first, tf.constant(0), cache)
    if beam_width > 1:
        cache = tf.nest.map_structure(lambda each: tf.repeat(each, beam_width, axis=0), cache)
        found = beam_search(
            step,
            logits,
            cache,
            beam_width,
            steps,
            most,
            length_penalty,
            tf.constant(never),
        )
        return found.tokens[:, 0]

    def allowed(logits: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
        return choose(tf.where(never, _NEVER, logits), uniform)

    ends = tf.constant(np.arange(size) == END)
    return sampling_loop(step, allowed, logits, cache, uniforms, ends, most).tokens
