"""What follows a prompt, as text: prompt and continuation together read as one.

A piece knows by its own first sign whether a word begins with it, and a text of pieces alone loses
that sign; so the text of all is made, and what the prompt's alone is taken off.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from keras_transgen.sequences.vocabulary import Vocabulary


def continuations(
    vocabulary: Vocabulary,
    prompts: Sequence[str],
    before: Sequence[list[int]],
    after: Sequence[list[int]],
) -> list[str]:
    """The texts of tokens that follow prompts.

    Args:
        vocabulary: Whose tokens they are.
        prompts: The prompts.
        before: Their tokens.
        after: Those that follow, for each.
    """
    if vocabulary.kind != "pieces":
        return vocabulary.decode(list(after))
    read = vocabulary.decode(list(before))
    whole = vocabulary.decode([[*one, *other] for one, other in zip(before, after)])
    return [_joined(prompt, text[len(seen) :]) for prompt, seen, text in zip(prompts, read, whole)]


def _joined(prompt: str, rest: str) -> str:
    # White space at the end of a prompt is no piece.
    return rest[1:] if prompt[-1:].isspace() and rest.startswith(" ") else rest


def continuations_in_graph(
    vocabulary: Vocabulary, prompts: tf.Tensor, before: tf.Tensor, after: tf.Tensor
) -> tf.Tensor:
    """The same of strings `[batch]` and tokens `[batch, length]`, in a graph."""
    if vocabulary.kind != "pieces":
        return vocabulary.detokenize(after)
    read = tf.strings.length(vocabulary.detokenize(before))
    whole = vocabulary.detokenize(tf.concat([before, after], axis=1))
    rest = tf.strings.substr(whole, read, tf.strings.length(whole) - read)
    is_spaced = tf.strings.regex_full_match(prompts, r"(?s).*\s")
    return tf.where(is_spaced, tf.strings.regex_replace(rest, "^ ", ""), rest)
