"""What exported models of texts answer: strings in, strings out."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from keras_transgen.generative.serving import COUNT, SEED, stateless_seed
from keras_transgen.sequences.copying import Pointer
from keras_transgen.sequences.decoding.sampling_loop import Choose
from keras_transgen.sequences.decoding.token_choice import Choice, chosen_by
from keras_transgen.sequences.language_generation import generate_tokens
from keras_transgen.sequences.serving import (
    LENGTH_PENALTY,
    MAX_TOKENS,
    TEMPERATURE,
    TEXTS,
    chosen_at,
    compiled_inside,
    graph_resources,
    in_widths,
    prompt_rows,
    uniforms_of,
)
from keras_transgen.sequences.text_encoder import tokens_in_graph
from keras_transgen.sequences.token_codecs import END
from keras_transgen.sequences.transformer.stack import TransformerStack
from keras_transgen.sequences.translation_search import translated_tokens
from keras_transgen.sequences.vocabulary import Vocabulary
from keras_transgen.training.serving import Endpoint

_BEAM_WIDTH = 5


class Language(Protocol):
    """What endpoints ask of a language model."""

    vocabulary: Vocabulary
    context_length: int
    network: TransformerStack


class Translation(Protocol):
    """What endpoints ask of a translator."""

    source_vocabulary: Vocabulary
    target_vocabulary: Vocabulary
    context_length: int
    decoder: TransformerStack
    pointer: Pointer | None
    _functions: dict[Any, Any]

    def encode(self, source: Any, training: bool = False) -> tuple[Any, Any]:
        """Features of sources, and which places are padding."""

    def tokens_of(self, texts: Any) -> tf.Tensor:
        """Tokens of sources."""


class Latent(Protocol):
    """What endpoints ask of a VAE of texts."""

    vocabulary: Vocabulary
    context_length: int
    latent_dim: int

    def _posterior(self, tokens: tf.Tensor, training: bool = False) -> tuple[Any, Any]: ...

    def tokens_from(
        self, z: tf.Tensor, choose: Choose, uniforms: tf.Tensor, most: tf.Tensor
    ) -> tf.Tensor:
        """Tokens of latent vectors."""


def language_endpoints(model: Language) -> dict[str, Endpoint]:
    """`generate(texts, max_tokens, temperature, seed)`, `texts` out.

    Prompts are read from their last tokens, as many as half the context holds; at most the other
    half is generated.

    Args:
        model: The model.
    """
    vocabulary, size = model.vocabulary, model.vocabulary.size
    width = max(1, model.context_length // 2)
    steps = model.context_length - width + 1
    ends = np.arange(size) == END

    @compiled_inside
    def continued(
        tokens: tf.Tensor, uniforms: tf.Tensor, most: tf.Tensor, temperature: tf.Tensor
    ) -> tf.Tensor:
        choose = chosen_at(temperature, size)
        return generate_tokens(
            model.network, choose, tokens, uniforms, tf.constant(ends), most
        ).tokens

    def generate(
        texts: tf.Tensor, max_tokens: tf.Tensor, temperature: tf.Tensor, seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        uniforms = uniforms_of(seed, tf.shape(texts)[0], steps)
        most = tf.clip_by_value(max_tokens, 1, steps)
        tokens = continued(prompt_rows(vocabulary, texts, width), uniforms, most, temperature)
        return {"texts": vocabulary.detokenize(tokens)}

    signature = (TEXTS, MAX_TOKENS, TEMPERATURE, SEED)
    resources = graph_resources([vocabulary])
    return {"generate": Endpoint(generate, signature, resources, draws_noise=True)}


def translation_endpoints(model: Translation) -> dict[str, Endpoint]:
    """`generate(texts, max_tokens)` and `beam_search(texts, max_tokens, length_penalty)`.

    Both give `texts`, the one by the likeliest tokens, the other by a beam of 5. Sources are cut
    to the context.

    Args:
        model: The model.
    """
    vocabulary, steps = model.target_vocabulary, model.context_length
    greedy = chosen_by("greedy", Choice(0.0).numbers(vocabulary.size))

    @compiled_inside
    def written(source: tf.Tensor, uniforms: tf.Tensor, most: tf.Tensor) -> tf.Tensor:
        return translated_tokens(model, greedy, 1, source, uniforms, most, tf.constant(0.0))

    @compiled_inside
    def found(
        source: tf.Tensor, uniforms: tf.Tensor, most: tf.Tensor, penalty: tf.Tensor
    ) -> tf.Tensor:
        return translated_tokens(model, greedy, _BEAM_WIDTH, source, uniforms, most, penalty)

    def given(texts: tf.Tensor, max_tokens: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        unused = tf.ensure_shape(tf.zeros([tf.shape(texts)[0], steps]), [None, steps])
        return in_widths(model.tokens_of(texts)), unused, tf.clip_by_value(max_tokens, 1, steps)

    def generate(texts: tf.Tensor, max_tokens: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"texts": vocabulary.detokenize(written(*given(texts, max_tokens)))}

    def beam_search(
        texts: tf.Tensor, max_tokens: tf.Tensor, length_penalty: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        tokens = found(*given(texts, max_tokens), length_penalty)
        return {"texts": vocabulary.detokenize(tokens)}

    resources = graph_resources([model.source_vocabulary, vocabulary])
    return {
        "generate": Endpoint(generate, (TEXTS, MAX_TOKENS), resources),
        "beam_search": Endpoint(beam_search, (TEXTS, MAX_TOKENS, LENGTH_PENALTY), resources),
    }


def latent_endpoints(model: Latent) -> dict[str, Endpoint]:
    """`sample(count, temperature, seed)`, `encode(texts)`, `decode(latents)`, `reconstruct(texts)`.

    Args:
        model: The model.
    """
    vocabulary, steps = model.vocabulary, model.context_length
    size = vocabulary.size

    @compiled_inside
    def tokens_at(z: tf.Tensor, uniforms: tf.Tensor, temperature: tf.Tensor) -> tf.Tensor:
        return model.tokens_from(z, chosen_at(temperature, size), uniforms, tf.constant(steps))

    def texts_of(z: tf.Tensor, temperature: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        uniforms = uniforms_of(seed, tf.shape(z)[0], steps)
        return {"texts": vocabulary.detokenize(tokens_at(z, uniforms, temperature))}

    def sample(count: tf.Tensor, temperature: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        # Of another seed than the tokens' numbers.
        z = tf.random.stateless_normal([count, model.latent_dim], ~stateless_seed(seed))
        return texts_of(z, temperature, seed)

    def decode(latents: tf.Tensor) -> dict[str, tf.Tensor]:
        return texts_of(latents, tf.constant(0.0), tf.constant(0, tf.int64))

    def encode(texts: tf.Tensor) -> dict[str, tf.Tensor]:
        tokens = tokens_in_graph(vocabulary, texts, model.context_length + 1, start=True)
        mean, scale = model._posterior(tokens)
        return {"mean": mean, "scale": scale}

    def reconstruct(texts: tf.Tensor) -> dict[str, tf.Tensor]:
        return decode(encode(texts)["mean"])

    resources = graph_resources([vocabulary])
    latents = tf.TensorSpec([None, model.latent_dim], tf.float32, "latents")
    return {
        "sample": Endpoint(sample, (COUNT, TEMPERATURE, SEED), resources, draws_noise=True),
        "encode": Endpoint(encode, (TEXTS,), resources),
        "decode": Endpoint(decode, (latents,), resources, draws_noise=True),
        "reconstruct": Endpoint(reconstruct, (TEXTS,), resources, draws_noise=True),
    }
