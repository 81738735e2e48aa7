"""Texts and latent vectors: an encoder, a decoder, and what they say of each other."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_transgen.generative.importance_sampling import ImportanceSampler
from keras_transgen.sequences.decoding.sampling_loop import Choose
from keras_transgen.sequences.decoding.token_choice import Choice, chosen_by
from keras_transgen.sequences.decoding.uniforms import uniform_rows
from keras_transgen.sequences.language_generation import generate_tokens
from keras_transgen.sequences.packing import predictions_counted, same_length, segments
from keras_transgen.sequences.sequence_model import SequenceModel, check_whole, checked_vocabulary
from keras_transgen.sequences.sizes import check_sizes
from keras_transgen.sequences.texts import as_texts
from keras_transgen.sequences.token_codecs import END, PADDING, START, UNKNOWN
from keras_transgen.sequences.transformer.stack import TransformerStack, hidden_from
from keras_transgen.sequences.vocabulary import Vocabulary

_ROWS_AT_A_TIME = 64
_LENGTHS = 16


class LatentTextModel(SequenceModel):
    """A posterior q(z|text) and a decoder p(text|z); how they are trained is a subclass's.

    A subclass calls `build` when all it has is there.

    Args:
        vocabulary: A `Vocabulary`.
        latent_dim: Number of latent units.
        context_length: Most tokens of a text, with its end.
        num_layers: Blocks of the encoder, and of the decoder.
        model_dim: Size of the vectors, a multiple of `num_heads`.
        num_heads: Heads of attention.
        dropout: Share dropped in training.
        **kwargs: Passed to `TrainerModel`.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        latent_dim: int,
        context_length: int,
        num_layers: int,
        model_dim: int,
        num_heads: int,
        dropout: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vocabulary = checked_vocabulary(vocabulary)
        sizes = {"num_layers": num_layers, "model_dim": model_dim, "num_heads": num_heads}
        check_sizes(dropout, latent_dim=latent_dim, context_length=context_length, **sizes)
        self.latent_dim, self.context_length = latent_dim, context_length
        self.feature_dim = model_dim
        stack = {
            "vocabulary_size": vocabulary.size,
            "context_length": context_length,
            **sizes,
            "feedforward_dim": 4 * model_dim,
            "dropout": dropout,
            "dtype": self.dtype_policy,
        }
        self.encoder = TransformerStack(**stack, name="encoder")
        self.decoder = TransformerStack(**stack, embedding=self.encoder.embedding, name="decoder")
        # Parameters of distributions stay in float32.
        self.posterior_mean = keras.layers.Dense(latent_dim, name="posterior_mean", dtype="float32")
        self.posterior_scale = keras.layers.Dense(
            latent_dim,
            # Scales that begin small let the decoder see something in z.
            bias_initializer=keras.initializers.Constant(-1.0),
            name="posterior_scale",
            dtype="float32",
        )
        self.latent_projection = keras.layers.Dense(
            model_dim, name="latent_projection", dtype=self.dtype_policy
        )

    def build(self, input_shape: Any = None) -> None:
        self.encoder.build()
        self.decoder.build()
        features = (None, self.encoder.model_dim)
        self.posterior_mean.build(features)
        self.posterior_scale.build(features)
        self.latent_projection.build((None, self.latent_dim))
        self.built = True

    # Texts and tokens

    def _rows(self, texts: list[str], name: str = "texts") -> np.ndarray:
        tokens = self.vocabulary.encode(texts, start=True, end=True)
        lengths = np.array([len(each) - 1 for each in tokens])
        if lengths.max() > self.context_length:
            raise ValueError(
                f"The model reads texts of at most {self.context_length} tokens, their end "
                "included: pass a larger context_length, or leave longer texts out. "
                f"Received: {name} of up to {lengths.max()}, "
                f"{int((lengths > self.context_length).sum())} of them too long, the first in row "
                f"{int(np.argmax(lengths > self.context_length))}"
            )
        width = min(self.context_length, 8 * math.ceil(lengths.max() / 8)) + 1
        return same_length(tokens, width)

    # Computing

    def _posterior(self, tokens: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean and scale of q(z|text), float32 `[batch, latent_dim]`."""
        present = tokens != PADDING
        places = tf.range(tf.shape(tokens)[1])[None]
        hidden = ~present[:, None, None, :]
        features = tf.cast(self.encoder(tokens, hidden, places, training=training)[0], tf.float32)
        weights = tf.cast(present, tf.float32)[..., None]
        summed = tf.reduce_sum(features * weights, axis=1)
        pooled = tf.math.divide_no_nan(summed, tf.reduce_sum(weights, axis=1))
        return self.posterior_mean(pooled), tf.nn.softplus(self.posterior_scale(pooled))

    def _logits(
        self, tokens: tf.Tensor, z: tf.Tensor, hidden_words: Any = None, training: bool = False
    ) -> tf.Tensor:
        """Logits of the token after each one."""
        seen = tokens
        if hidden_words is not None:
            seen = tf.where(hidden_words & (tokens > UNKNOWN), UNKNOWN, tokens)
        features, _ = self.decoder(
            seen,
            hidden_from(segments(tokens)),
            tf.range(tf.shape(tokens)[1])[None],
            added=self._added(z),
            training=training,
        )
        return self.decoder.logits(features)

    def _added(self, z: tf.Tensor) -> tf.Tensor:
        return self.latent_projection(z)[:, None, :]

    def _text_nats(
        self, tokens: tf.Tensor, z: tf.Tensor, hidden_words: Any = None, training: bool = False
    ) -> tf.Tensor:
        """-log p(text|z), `[batch]`."""
        nats = tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=tokens[:, 1:], logits=self._logits(tokens[:, :-1], z, hidden_words, training)
        )
        return tf.reduce_sum(nats * tf.cast(predictions_counted(tokens), nats.dtype), axis=1)

    def call(self, tokens: Any, training: bool = False) -> Any:
        """Logits of each token given those before it and the posterior's mean.

        Args:
            tokens: Ints `[batch, length]`, each text with start and end, padded.
            training: Whether to drop.

        Returns:
            float32 `[batch, length, vocabulary size]`.
        """
        tokens = tf.cast(tokens, tf.int32)
        return self._logits(tokens, self._posterior(tokens, training)[0], training=training)

    # What the model says and writes

    def encode(self, texts: Any) -> tfd.Distribution:
        """The posterior of texts.

        Args:
            texts: Strings.

        Returns:
            A TFP distribution of batch shape `[count]` over vectors `[latent_dim]`.
        """
        rows = self._rows(as_texts(texts))
        parts = [
            self._posterior(tf.constant(rows[begin : begin + _ROWS_AT_A_TIME]))
            for begin in range(0, len(rows), _ROWS_AT_A_TIME)
        ]
        mean, scale = (tf.concat(each, axis=0) for each in zip(*parts))
        return tfd.MultivariateNormalDiag(mean, scale)

    def decode(
        self,
        z: Any,
        max_tokens: int | None = None,
        temperature: float = 0.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
    ) -> list[str]:
        """Texts of latent vectors.

        Args:
            z: `[count, latent_dim]`.
            max_tokens: Most tokens of each. Defaults to `context_length`.
            temperature: 0 (default) takes the likeliest token each time.
            top_k: Only so many of the likeliest tokens. Defaults to all.
            top_p: Only the likeliest tokens that together have this probability. Defaults to all.
            seed: Of the draws. `None` (default) draws afresh each time.

        Returns:
            Strings.

        Raises:
            ValueError: z has another shape, or a number is out of its range.
        """
        z = np.asarray(z, "float32")
        if z.ndim != 2 or z.shape[1] != self.latent_dim or not len(z):
            raise ValueError(
                f"z must be of shape [count, {self.latent_dim}]. "
                f"Received: z of shape {list(z.shape)}"
            )
        choice = Choice(temperature, top_k, top_p)
        choice.check()
        most = self.context_length if max_tokens is None else max_tokens
        check_whole("max_tokens", most)
        most = min(most, self.context_length)
        steps = _LENGTHS * math.ceil(most / _LENGTHS)
        uniforms = np.pad(uniform_rows(len(z), most, seed), [(0, 0), (0, steps - most)])
        found: list[list[int]] = []
        for begin in range(0, len(z), _ROWS_AT_A_TIME):
            rows = np.arange(begin, min(begin + _ROWS_AT_A_TIME, len(z)))
            filled = np.resize(rows, 2 ** math.ceil(math.log2(len(rows))))
            tokens = self._generator(choice.mode)(
                tf.constant(z[filled]),
                tf.constant(uniforms[filled]),
                tf.constant(most),
                choice.numbers(self.vocabulary.size),
            )
            found += tokens.numpy()[: len(rows)].tolist()
        return self.vocabulary.decode(found)

    def _generator(self, mode: str) -> Any:
        if ("decode", mode) not in self._functions:

            def generated(z: tf.Tensor, uniforms: tf.Tensor, most: tf.Tensor, numbers: Any) -> Any:
                return self.tokens_from(z, chosen_by(mode, numbers), uniforms, most)

            self._functions["decode", mode] = tf.function(
                generated, jit_compile=True, autograph=False
            )
        return self._functions["decode", mode]

    def tokens_from(
        self, z: tf.Tensor, choose: Choose, uniforms: tf.Tensor, most: tf.Tensor
    ) -> tf.Tensor:
        """Tokens of latent vectors, int32 `[count, steps]`, in a graph that XLA compiles.

        Args:
            z: `[count, latent_dim]`.
            choose: From logits and uniform numbers to tokens.
            uniforms: `[count, steps]`.
            most: At most so many tokens.
        """
        starts = tf.fill([tf.shape(z)[0], 1], START)
        ends = tf.constant(np.arange(self.vocabulary.size) == END)
        added = self._added(z)
        return generate_tokens(
            self.decoder, choose, starts, uniforms, ends, most, added=added
        ).tokens

    def sample(
        self, count: int = 1, seed: int | None = None, temperature: float = 1.0
    ) -> list[str]:
        """New texts: latent vectors from the prior, and a text of each.

        Args:
            count: How many. Defaults to 1.
            seed: Of the vectors and of the tokens. `None` (default) draws afresh.
            temperature: Of the tokens; 0 takes the likeliest of each vector. Defaults to 1.

        Returns:
            Strings.
        """
        check_whole("count", count)
        draws = np.random.default_rng(None if seed is None else seed & 0xFFFFFFFF)
        z = draws.standard_normal((count, self.latent_dim), "float32")
        return self.decode(z, temperature=temperature, seed=seed)

    def reconstruct(self, texts: Any) -> list[str]:
        """Texts through the latent vector and back: of the posterior's mean the likeliest tokens.

        Args:
            texts: Strings.

        Returns:
            Strings, as many.
        """
        return self.decode(self.encode(texts).mean())

    def interpolate(self, first: str, second: str, steps: int = 8) -> list[str]:
        """Texts on the straight way between two latent vectors, both ends included.

        Args:
            first: A string.
            second: Another.
            steps: How many texts. Defaults to 8.

        Returns:
            Strings.
        """
        check_whole("steps", steps, 2)
        one, other = self.encode([first, second]).mean().numpy()
        return self.decode(np.linspace(one, other, steps))

    def log_likelihood(
        self, texts: Any, num_samples: int = 100, seed: int | None = None
    ) -> np.ndarray:
        """Log p of each text, its end included, in nats, by importance sampling.

        The estimate is below the truth in expectation and rises to it with the samples.

        Args:
            texts: Strings.
            num_samples: Latent vectors of each text. Defaults to 100.
            seed: Of the vectors. `None` (default) draws afresh.

        Returns:
            float32 `[count]`.
        """
        check_whole("num_samples", num_samples)
        rows = self._rows(as_texts(texts))
        if seed is None:
            seed = int(np.random.default_rng().integers(2**31))
        sampler = ImportanceSampler(
            self._posterior,
            self._log_weights,
            rows.shape[1] * self.vocabulary.size,
            bool(self.jit_compile),
        )
        seeds = tf.constant([seed & 0x7FFFFFFF, 0], tf.int32)
        return sampler(rows, num_samples, seeds, _ROWS_AT_A_TIME).numpy()

    def _log_weights(
        self, tokens: tf.Tensor, mean: tf.Tensor, scale: tf.Tensor, noise: tf.Tensor
    ) -> tf.Tensor:
        samples = noise.shape[0]
        z = mean + scale * noise
        repeated = tf.tile(tokens, [samples, 1])
        flat = tf.reshape(z, [-1, self.latent_dim])
        log_p = tf.reshape(-self._text_nats(repeated, flat), tf.shape(noise)[:2])
        prior = tf.reduce_sum(tfd.Normal(0.0, 1.0).log_prob(z), axis=-1)
        return log_p + prior - tf.reduce_sum(tfd.Normal(mean, scale).log_prob(z), axis=-1)

    def reconstruction_gap(self, texts: Any) -> float:
        """How much worse texts are told by the latent vector of another text, nats a text.

        Zero says that the decoder ignores z, whatever its units do.

        Args:
            texts: Strings, at least two.
        """
        rows = self._rows(as_texts(texts))
        if len(rows) < 2:
            raise ValueError(
                "The gap compares each text with another: give at least 2. "
                f"Received: {len(rows)} texts"
            )
        z = self.encode(texts).mean()
        own, others = (self._mean_nats(rows, each) for each in (z, tf.roll(z, 1, axis=0)))
        return others - own

    def _mean_nats(self, rows: np.ndarray, z: tf.Tensor) -> float:
        nats = [
            self._text_nats(
                tf.constant(rows[at : at + _ROWS_AT_A_TIME]), z[at : at + _ROWS_AT_A_TIME]
            )
            for at in range(0, len(rows), _ROWS_AT_A_TIME)
        ]
        return float(tf.reduce_mean(tf.concat(nats, axis=0)))
