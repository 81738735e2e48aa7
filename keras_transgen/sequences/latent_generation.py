"""Texts of latent vectors, token by token."""

from __future__ import annotations

import functools
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from keras_transgen.sequences.decoding.compiled_choice import compiled_choice
from keras_transgen.sequences.decoding.sampling_loop import Choose
from keras_transgen.sequences.decoding.token_choice import Choice
from keras_transgen.sequences.decoding.uniforms import uniform_rows
from keras_transgen.sequences.language_generation import TokenNetwork, generate_tokens
from keras_transgen.sequences.sizes import check_whole
from keras_transgen.sequences.token_codecs import END, START
from keras_transgen.sequences.token_rows import groups, rounded
from keras_transgen.sequences.vocabulary import Vocabulary


class Latent(Protocol):
    """What generation, and endpoints, need of a VAE of texts."""

    vocabulary: Vocabulary
    context_length: int
    latent_dim: int
    decoder: TokenNetwork
    kept_functions: dict[Any, Any]

    def posterior(self, tokens: tf.Tensor, training: bool = False) -> tuple[Any, Any]:
        """Mean and scale of q(z|text)."""

    def added(self, z: tf.Tensor) -> tf.Tensor:
        """What latent vectors add to each token's."""


def decoded(
    model: Latent, z: Any, max_tokens: int | None, choice: Choice, seed: int | None
) -> list[str]:
    """A text for each latent vector; see `TextVAE.decode`."""
    z = np.asarray(z, "float32")
    if z.ndim != 2 or z.shape[1] != model.latent_dim or not np.isfinite(z).all() or not len(z):
        kind = "" if np.isfinite(z).all() else ", not all of them finite"
        raise ValueError(
            f"z must be numbers of shape [count, {model.latent_dim}]. "
            f"Received: z of shape {list(z.shape)}{kind}"
        )
    choice.check()
    most = model.context_length if max_tokens is None else max_tokens
    check_whole("max_tokens", most)
    most = min(most, model.context_length)
    uniforms = uniform_rows(len(z), rounded(most), seed)
    generate = compiled_choice(
        model.kept_functions,
        "decode",
        functools.partial(latent_tokens, model),
        choice,
        model.vocabulary.size,
    )
    found: list[list[int]] = []
    for rows, filled, _ in groups(np.zeros(len(z))):
        tokens = generate(tf.constant(z[filled]), tf.constant(uniforms[filled]), tf.constant(most))
        found += tokens.numpy()[: len(rows)].tolist()
    return model.vocabulary.decode(found)


def latent_tokens(
    model: Latent, choose: Choose, z: tf.Tensor, uniforms: tf.Tensor, most: tf.Tensor
) -> tf.Tensor:
    """Tokens of latent vectors, int32 `[count, steps]`, in a graph that XLA compiles.

    Args:
        model: The model.
        choose: From logits and uniform numbers to tokens.
        z: `[count, latent_dim]`.
        uniforms: `[count, steps]`.
        most: At most so many tokens.
    """
    starts = tf.fill([tf.shape(z)[0], 1], START)
    ends = tf.constant(np.arange(model.vocabulary.size) == END)
    added = model.added(z)
    return generate_tokens(model.decoder, choose, starts, uniforms, ends, most, added=added).tokens
