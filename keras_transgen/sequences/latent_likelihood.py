"""What a VAE of texts says of them: log p by importance sampling, and what z tells of a text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_transgen.generative.importance_sampling import ImportanceSampler
from keras_transgen.sequences.token_rows import ROWS_AT_A_TIME, groups, same_length
from keras_transgen.sequences.vocabulary import Vocabulary


class Judged(Protocol):
    """What likelihoods need of a VAE of texts."""

    vocabulary: Vocabulary
    context_length: int
    latent_dim: int
    jit_compile: bool
    kept_functions: dict[Any, Any]

    def posterior(self, tokens: tf.Tensor, training: bool = False) -> tuple[Any, Any]:
        """Mean and scale of q(z|text)."""

    def text_nats(self, tokens: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
        """-log p(text|z)."""


def log_likelihoods(
    model: Judged, tokens: list[list[int]], num_samples: int, seed: int
) -> np.ndarray:
    """Log p of each text by importance sampling, float32 `[count]`.

    Args:
        model: The model.
        tokens: Of the texts, each with start and end.
        num_samples: Latent vectors of each text.
        seed: Of the vectors.
    """
    found = np.zeros(len(tokens), "float32")
    for number, (rows, filled, width) in enumerate(_groups(model, tokens)):
        sampler = _sampler(model, width)
        array = same_length([tokens[row] for row in filled], width)
        seeds = tf.constant([seed & 0x7FFFFFFF, number], tf.int32)
        found[rows] = sampler(array, num_samples, seeds, ROWS_AT_A_TIME).numpy()[: len(rows)]
    return found


def _sampler(model: Judged, width: int) -> ImportanceSampler:
    key = ("importance", width)
    if key not in model.kept_functions:

        def log_weights(
            tokens: tf.Tensor, mean: tf.Tensor, scale: tf.Tensor, noise: tf.Tensor
        ) -> tf.Tensor:
            z = mean + scale * noise
            repeated = tf.tile(tokens, [noise.shape[0], 1])
            flat = tf.reshape(z, [-1, model.latent_dim])
            log_p = tf.reshape(-model.text_nats(repeated, flat), tf.shape(noise)[:2])
            prior = tf.reduce_sum(tfd.Normal(0.0, 1.0).log_prob(z), axis=-1)
            return log_p + prior - tf.reduce_sum(tfd.Normal(mean, scale).log_prob(z), axis=-1)

        model.kept_functions[key] = ImportanceSampler(
            model.posterior, log_weights, width * model.vocabulary.size, bool(model.jit_compile)
        )
    return model.kept_functions[key]


def by_rows(
    model: Judged, tokens: list[list[int]], compute: Callable[..., Any], *others: Any
) -> tf.Tensor:
    """What a function of tokens gives for each text, those of similar lengths together.

    Args:
        model: The model.
        tokens: Of the texts, each with start and end.
        compute: From tokens int32 `[batch, length]` to a tensor `[batch, ...]`.
        *others: Tensors `[count, ...]` of which `compute` gets the rows of its texts.
    """
    parts, order = [], []
    for rows, _, width in _groups(model, tokens):
        array = tf.constant(same_length([tokens[row] for row in rows], width))
        parts.append(compute(array, *(tf.gather(each, rows) for each in others)))
        order.append(rows)
    return tf.gather(tf.concat(parts, axis=0), np.argsort(np.concatenate(order)))


def _groups(model: Judged, tokens: list[list[int]]) -> Any:
    """Groups of texts whose rows are no longer than the model reads."""
    for group in groups([len(each) - 1 for each in tokens]):
        yield group._replace(width=min(group.width, model.context_length) + 1)
