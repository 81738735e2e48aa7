"""Frames one after the other, note by note, in one loop that XLA compiles; some may be given."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from keras import ops

from keras_transgen.sequences.decoding.compiled_choice import compiled_choice
from keras_transgen.sequences.decoding.sampling_loop import Choose, rows_in
from keras_transgen.sequences.decoding.token_choice import Choice
from keras_transgen.sequences.decoding.uniforms import uniform_rows
from keras_transgen.sequences.music.frame_network import FrameNetwork
from keras_transgen.sequences.music.note_codec import END, PADDING, START, NoteCodec
from keras_transgen.sequences.token_rows import groups, rounded


class Composer(Protocol):
    """What generation needs of a model of music."""

    codec: NoteCodec
    network: FrameNetwork
    kept_functions: dict[Any, Any]


def completed(
    model: Composer, given: Sequence[np.ndarray], choice: Choice, seed: int | None
) -> list[np.ndarray]:
    """Frames of which some notes are given, with the others.

    Args:
        model: The model.
        given: Tokens int32 `[frames, max_notes]` of each piece, padding where the model chooses.
        choice: How it chooses.
        seed: Of the draws; `None` draws afresh.

    Returns:
        The same without padding.
    """
    codec = model.codec
    lengths = [len(each) for each in given]
    generate = compiled_choice(
        model.kept_functions,
        "frames",
        functools.partial(generate_frames, model.network),
        choice,
        codec.size,
    )
    uniforms = uniform_rows(len(given), rounded(max(lengths)) * codec.max_notes, seed)
    found: list[np.ndarray] = [np.zeros(0)] * len(given)
    for rows, filled, width in groups(lengths):
        tokens = np.full((len(filled), width, codec.max_notes), PADDING, "int32")
        for line, row in zip(tokens, filled):
            line[: lengths[row]] = given[row]
        drawn = uniforms[filled, : width * codec.max_notes].reshape(tokens.shape)
        most = max(lengths[row] for row in rows)
        written = generate(*map(tf.constant, (tokens, drawn, most))).numpy()
        for row, each in zip(rows, written):
            found[row] = each[: lengths[row]]
    return found


def generate_frames(
    network: FrameNetwork,
    choose: Choose,
    given: tf.Tensor,
    uniforms: tf.Tensor,
    most: tf.Tensor,
) -> tf.Tensor:
    """Frames whose notes are given or chosen, each after those above it and the frames before.

    Args:
        network: The network.
        choose: From logits `[batch, vocabulary]` and uniform numbers `[batch]` to tokens.
        given: int32 `[batch, frames, max_notes]`, padding where a note is chosen.
        uniforms: `[batch, frames, max_notes]` in [0, 1).
        most: At most so many frames, an int32 scalar.

    Returns:
        int32 like `given`; padding from frame `most` on.
    """
    batch = rows_in(given)

    def frame(
        place: tf.Tensor, before: tf.Tensor, written: tf.Tensor, states: list[Any]
    ) -> tuple[Any, ...]:
        places = tf.fill([batch, 1], place)
        known, states = network.read(before[:, None], places, states)
        known = known[:, 0]
        previous = tf.fill([batch], network.vocabulary_size)
        notes = []
        for rank in range(network.max_notes):
            logits = network.note_logits(known, previous, tf.constant(rank))
            token = choose(logits, uniforms[:, place, rank])
            said = given[:, place, rank]
            token = tf.where(said == PADDING, token, said)
            # Behind the last note of a frame there is no other.
            token = tf.where(previous == END, END, token)
            known = known + network.above(token, tf.constant(rank))
            previous = token
            notes.append(token)
        after = tf.stack(notes, axis=1)
        written = ops.slice_update(written, (0, place, 0), after[:, None])
        return place + 1, after, written, states

    start = tf.fill([batch, network.max_notes], START)
    written = tf.zeros_like(given)
    loop = (tf.constant(0), start, written, network.empty_states(batch))
    return tf.while_loop(lambda place, *_: place < most, frame, loop)[2]
