"""What exported models of texts answer: strings in, strings out."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from keras_transgen.generative.serving import COUNT, SEED, stateless_seed
from keras_transgen.sequences.continuations import continuations_in_graph
from keras_transgen.sequences.decoding.compiled_choice import compiled_loop
from keras_transgen.sequences.decoding.sampling_loop import rows_in
from keras_transgen.sequences.decoding.token_choice import likeliest
from keras_transgen.sequences.endpoint_inputs import (
    LENGTH_PENALTY,
    MAX_TOKENS,
    TEMPERATURE,
    TEXTS,
    chosen_at,
    graph_resources,
    in_widths,
    prompt_rows,
    uniforms_of,
)
from keras_transgen.sequences.language_generation import Language, generate_tokens
from keras_transgen.sequences.latent_generation import Latent, latent_tokens
from keras_transgen.sequences.text_encoder import tokens_in_graph
from keras_transgen.sequences.token_codecs import END
from keras_transgen.sequences.translation_search import (
    Translator,
    searched_tokens,
    translated_tokens,
)
from keras_transgen.training.serving import Endpoint

_BEAM_WIDTH = 5


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

    @compiled_loop
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
        prompts = prompt_rows(vocabulary, texts, width)
        tokens = continued(prompts, uniforms, most, temperature)
        return {"texts": continuations_in_graph(vocabulary, texts, prompts, tokens)}

    signature = (TEXTS, MAX_TOKENS, TEMPERATURE, SEED)
    resources = graph_resources([vocabulary])
    return {"generate": Endpoint(generate, signature, resources, draws_noise=True)}


def translation_endpoints(model: Translator) -> dict[str, Endpoint]:
    """`generate(texts, max_tokens)` and `beam_search(texts, max_tokens, length_penalty)`.

    Both give `texts`, the one by the likeliest tokens, the other by a beam of 5. Sources are cut
    to the context.

    Args:
        model: The model.
    """
    vocabulary, steps = model.target_vocabulary, model.context_length

    @compiled_loop
    def written(most: tf.Tensor, source: tf.Tensor) -> tf.Tensor:
        # What is likeliest takes no numbers, only room for them.
        none = tf.zeros([rows_in(source), steps])
        return translated_tokens(model, likeliest, most, none, source)

    @compiled_loop
    def found(most: tf.Tensor, penalty: tf.Tensor, source: tf.Tensor) -> tf.Tensor:
        return searched_tokens(model, _BEAM_WIDTH, steps, most, penalty, source)

    def most_of(max_tokens: tf.Tensor) -> tf.Tensor:
        return tf.clip_by_value(max_tokens, 1, steps)

    def generate(texts: tf.Tensor, max_tokens: tf.Tensor) -> dict[str, tf.Tensor]:
        tokens = written(most_of(max_tokens), in_widths(model.tokens_of(texts)))
        return {"texts": vocabulary.detokenize(tokens)}

    def beam_search(
        texts: tf.Tensor, max_tokens: tf.Tensor, length_penalty: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        source = in_widths(model.tokens_of(texts))
        tokens = found(most_of(max_tokens), length_penalty, source)
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

    @compiled_loop
    def tokens_at(z: tf.Tensor, uniforms: tf.Tensor, temperature: tf.Tensor) -> tf.Tensor:
        choose = chosen_at(temperature, size)
        return latent_tokens(model, choose, z, uniforms, tf.constant(steps))

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
        mean, scale = model.posterior(tokens)
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
