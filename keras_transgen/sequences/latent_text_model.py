"""Texts and latent vectors: an encoder, a decoder, and what they say of each other."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_transgen.sequences.decoding.token_choice import Choice
from keras_transgen.sequences.latent_decoders import LATENT_DECODERS
from keras_transgen.sequences.latent_generation import decoded
from keras_transgen.sequences.latent_likelihood import by_rows, log_likelihoods
from keras_transgen.sequences.packing import predictions_counted, segments
from keras_transgen.sequences.sequence_model import SequenceModel, check_known, checked_vocabulary
from keras_transgen.sequences.sizes import check_sizes, check_whole
from keras_transgen.sequences.text_encoder import feature_network, tokens_in_graph
from keras_transgen.sequences.texts import as_texts
from keras_transgen.sequences.token_codecs import PADDING, UNKNOWN
from keras_transgen.sequences.transformer.stack import TransformerStack, hidden_from
from keras_transgen.sequences.vocabulary import Vocabulary
from keras_transgen.training.replica_noise import whole_seed


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
        decoder: A name in `latent_decoders.LATENT_DECODERS`.
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
        decoder: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vocabulary = checked_vocabulary(vocabulary)
        sizes = {"num_layers": num_layers, "model_dim": model_dim, "num_heads": num_heads}
        check_sizes(dropout, latent_dim=latent_dim, context_length=context_length, **sizes)
        self.latent_dim, self.context_length = latent_dim, context_length
        self.feature_dim = model_dim
        make_decoder = LATENT_DECODERS.find(decoder)
        self.encoder = TransformerStack(
            vocabulary.size,
            context_length,
            num_layers,
            model_dim,
            num_heads,
            4 * model_dim,
            dropout,
            name="encoder",
            dtype=self.dtype_policy,
        )
        self.decoder_name = decoder
        self.decoder = make_decoder(self.encoder, name="decoder", dtype=self.dtype_policy)
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

    def _tokens(self, texts: Any) -> list[list[int]]:
        """Tokens of texts that the model can read, each with start and end."""
        tokens = self.vocabulary.encode(as_texts(texts), start=True, end=True)
        lengths = np.array([len(each) - 1 for each in tokens])
        if lengths.max() > self.context_length:
            raise ValueError(
                f"The model reads texts of at most {self.context_length} tokens, their end "
                "included: pass a larger context_length, or leave longer texts out. "
                f"Received: texts of up to {lengths.max()}, "
                f"{int((lengths > self.context_length).sum())} of them too long, the first in row "
                f"{int(np.argmax(lengths > self.context_length))}"
            )
        return tokens

    def tokens_of(self, texts: Any) -> tf.Tensor:
        """Tokens of strings, each with start and end, cut to the context."""
        return tokens_in_graph(self.vocabulary, texts, self.context_length + 1, start=True)

    # Computing

    def features(self, tokens: Any, training: bool = False) -> Any:
        """What the encoder says of each token, `[batch, length, model_dim]`."""
        tokens = tf.cast(tokens, tf.int32)
        hidden = (tokens == PADDING)[:, None, None, :]
        places = tf.range(tf.shape(tokens)[1])[None]
        return self.encoder(tokens, hidden, places, training=training)[0]

    def feature_network(self) -> keras.Model:
        """The encoder, from strings to features; `load_backbone` makes a backbone of it.

        Texts longer than the context are cut. A vocabulary of pieces needs `tensorflow-text`.
        """
        return feature_network(self)

    def posterior(self, tokens: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean and scale of q(z|text), float32 `[batch, latent_dim]`.

        Args:
            tokens: int32 `[batch, length]`, each text with start and end, padded.
            training: Whether to drop.
        """
        features = tf.cast(self.features(tokens, training), tf.float32)
        weights = tf.cast(tokens != PADDING, tf.float32)[..., None]
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
            added=self.added(z),
            training=training,
        )
        return self.decoder.logits(features)

    def added(self, z: tf.Tensor) -> tf.Tensor:
        """What latent vectors add to each token's vector, `[batch, 1, model_dim]`."""
        return self.latent_projection(z)[:, None, :]

    def text_nats(
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
        return self._logits(tokens, self.posterior(tokens, training)[0], training=training)

    # What the model says and writes

    def encode(self, texts: Any) -> tfd.Distribution:
        """The posterior of texts.

        Args:
            texts: Strings.

        Returns:
            A TFP distribution of batch shape `[count]` over vectors `[latent_dim]`.
        """

        def both(tokens: tf.Tensor) -> tf.Tensor:
            return tf.stack(self.posterior(tokens), axis=1)

        tokens = self._tokens(texts)
        check_known(tokens)
        found = by_rows(self, tokens, both)
        return tfd.MultivariateNormalDiag(*tf.unstack(found, axis=1))

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
        return decoded(self, z, max_tokens, Choice(temperature, top_k, top_p), seed)

    def sample(
        self,
        count: int = 1,
        seed: int | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
    ) -> list[str]:
        """New texts: latent vectors from the prior, and a text of each.

        Args:
            count: How many. Defaults to 1.
            seed: Of the vectors and of the tokens. `None` (default) draws afresh.
            temperature: Of the tokens; 0 takes the likeliest of each vector. Defaults to 1.
            top_k: As in `decode`.
            top_p: As in `decode`.
            max_tokens: As in `decode`.

        Returns:
            Strings.
        """
        check_whole("count", count)
        draws = np.random.default_rng(whole_seed(seed) % 2**64)
        z = draws.standard_normal((count, self.latent_dim), "float32")
        return self.decode(z, max_tokens, temperature, top_k, top_p, seed)

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
        if not isinstance(first, str) or not isinstance(second, str):
            raise ValueError(
                "interpolate(first, second) goes from one text to another, a string each. "
                f"Received: {type(first).__name__} and {type(second).__name__}"
            )
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
        if seed is None:
            seed = whole_seed(None)
        return log_likelihoods(self, self._tokens(texts), num_samples, seed)

    def reconstruction_gap(self, texts: Any) -> float:
        """How much worse texts are told by the latent vector of another text, nats a text.

        Zero says that the decoder ignores z, whatever its units do.

        Args:
            texts: Strings, at least two.
        """
        tokens = self._tokens(texts)
        if len(tokens) < 2:
            raise ValueError(
                "The gap compares each text with another: give at least 2. "
                f"Received: {len(tokens)} texts"
            )
        z = self.encode(texts).mean()
        own, others = (
            by_rows(self, tokens, self.text_nats, each) for each in (z, tf.roll(z, 1, axis=0))
        )
        return float(tf.reduce_mean(others - own))
