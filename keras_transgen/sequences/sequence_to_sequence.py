"""Sequence to sequence: an encoder reads the source, a decoder writes the target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.sequences.copying import Mixture, Pointer, log_probability_of
from keras_transgen.sequences.decoding.token_choice import Choice
from keras_transgen.sequences.endpoints import translation_endpoints
from keras_transgen.sequences.packing import predictions_counted, segments
from keras_transgen.sequences.pair_batches import Pairs, buckets, pair_batches
from keras_transgen.sequences.paired_texts import is_token_batches, paired_texts, token_pairs
from keras_transgen.sequences.perplexity import Perplexity
from keras_transgen.sequences.sequence_model import (
    SequenceModel,
    checked_tokens,
    checked_vocabulary,
)
from keras_transgen.sequences.serving import refuse_signature
from keras_transgen.sequences.sizes import check_sizes
from keras_transgen.sequences.text_encoder import feature_network, tokens_in_graph
from keras_transgen.sequences.texts import as_texts
from keras_transgen.sequences.token_codecs import PADDING
from keras_transgen.sequences.transformer.stack import (
    TransformerStack,
    hidden_from,
)
from keras_transgen.sequences.translation_search import translated
from keras_transgen.sequences.vocabulary import Vocabulary
from keras_transgen.training import loss_weight
from keras_transgen.training.config_from_file import Nested, arguments_from_file
from keras_transgen.training.serving import Endpoint

_BATCH_TOKENS = 2048


@keras.saving.register_keras_serializable(package="keras_transgen")
class SequenceToSequence(SequenceModel):
    """An encoder-decoder Transformer: translation, summaries, any text to any other.

    `fit(sources, targets)` takes two lists of texts. Batches hold about equally many tokens;
    `loss` is the mean of -log p over the targets' tokens, ends included, in nats, without label
    smoothing, and `perplexity` its exponential.

    Args:
        source_vocabulary: A `Vocabulary`.
        target_vocabulary: Another one, or the same, whose embedding is then shared, which is the
            default.
        num_layers: Blocks of the encoder, and of the decoder. Defaults to 3.
        model_dim: Size of the vectors, a multiple of `num_heads`. Defaults to 128.
        num_heads: Heads of attention. Defaults to 4.
        dropout: Share dropped in training. Defaults to 0.1.
        feedforward_dim: Size of the inner dense layers. Defaults to 4 times `model_dim`.
        context_length: Most tokens of a source, and of a target. Defaults to 256.
        label_smoothing: Share of each label that is spread over all tokens, in training. Defaults
            to 0.1.
        copying: Whether tokens of the source may be copied (a pointer), for summaries; needs one
            vocabulary. Defaults to `False`.
        positions: `"rotary"` (default) or `"learned"`.
        seed: Seed of order and dropout. See `TrainerModel`.
        **kwargs: Passed to `keras.Model`.

    Raises:
        ValueError: An argument is out of its range.

    Example:
        ```python
        import keras_transgen as ktg

        english, german = ["one dog", "two dogs"] * 8, ["ein Hund", "zwei Hunde"] * 8
        vocabulary = ktg.Vocabulary.characters(english + german)
        model = ktg.SequenceToSequence(vocabulary, num_layers=1, model_dim=16)
        model.fit(english, german, epochs=1, verbose=0)
        found = model.generate(["one dog"], beam_width=2, max_tokens=8)
        ```

    Reference:
        Vaswani et al., "Attention is all you need", 2017; Xiong et al., "On layer normalization in
        the Transformer architecture", 2020.
    """

    default_rate = 2e-3

    def __init__(
        self,
        source_vocabulary: Vocabulary,
        target_vocabulary: Vocabulary | None = None,
        num_layers: int = 3,
        model_dim: int = 128,
        num_heads: int = 4,
        dropout: float = 0.1,
        feedforward_dim: int | None = None,
        context_length: int = 256,
        label_smoothing: float = 0.1,
        copying: bool = False,
        positions: str = "rotary",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        target_vocabulary = target_vocabulary or source_vocabulary
        checked_vocabulary(source_vocabulary, "source_vocabulary")
        checked_vocabulary(target_vocabulary, "target_vocabulary")
        check_sizes(
            context_length=context_length,
            num_layers=num_layers,
            model_dim=model_dim,
            num_heads=num_heads,
            feedforward_dim=feedforward_dim or 4 * model_dim,
            dropout=dropout,
        )
        if not 0.0 <= label_smoothing < 1.0:
            raise ValueError(
                f"label_smoothing must be in [0, 1). Received: label_smoothing={label_smoothing}"
            )
        # Of one vocabulary, loaded twice from a file, one is enough.
        shared = source_vocabulary.equals(target_vocabulary)
        self.source_vocabulary = source_vocabulary
        self.target_vocabulary = source_vocabulary if shared else target_vocabulary
        if copying and not shared:
            raise ValueError(
                "What is copied must mean the same on both sides: copying=True needs one "
                "vocabulary for both. Received: two vocabularies"
            )
        self.context_length, self.feature_dim = context_length, model_dim
        self.feedforward_dim = feedforward_dim
        self.label_smoothing = label_smoothing
        self.copying = copying
        sizes = (num_layers, model_dim, num_heads, feedforward_dim or 4 * model_dim)
        self.encoder = TransformerStack(
            source_vocabulary.size,
            context_length,
            *sizes,
            dropout,
            positions,
            name="encoder",
            dtype=self.dtype_policy,
        )
        self.decoder = TransformerStack(
            target_vocabulary.size,
            context_length,
            *sizes,
            dropout,
            positions,
            cross_attention=True,
            embedding=self.encoder.embedding if shared else None,
            name="decoder",
            dtype=self.dtype_policy,
        )
        self.pointer = (
            Pointer(model_dim, name="pointer", dtype=self.dtype_policy) if copying else None
        )
        self._perplexity = Perplexity()
        self.build()

    def build(self, input_shape: Any = None) -> None:
        self.encoder.build()
        self.decoder.build()
        if self.pointer is not None:
            self.pointer.build()
        self.built = True

    # Data on their way in

    def _batches(
        self,
        sources: Any,
        targets: Any,
        batch_tokens: int,
        batch_size: int | None,
        training: bool,
    ) -> tf.data.Dataset:
        """Texts as batches of tokens; data sets of tokens as they are."""
        if targets is None and is_token_batches(sources):
            return sources
        pairs = self._pairs(*paired_texts(sources, targets))
        replicas = self.distribute_strategy.num_replicas_in_sync
        grouped = buckets(pairs, batch_tokens, batch_size, replicas)
        return pair_batches(pairs, grouped, self.progress if training else None)

    def _pairs(self, sources: list[str], targets: list[str]) -> Pairs:
        return token_pairs(
            self.source_vocabulary.encode(sources, end=True),
            self.target_vocabulary.encode(targets, start=True, end=True),
            self.context_length,
        )

    def check_data(self, x: Any, y: Any, sample_weight: Any, training: bool) -> None:
        """Refuse what are no batches of tokens, and weights."""
        if y is None or sample_weight is not None:
            raise ValueError(
                "fit(sources, targets) takes two lists of texts, without weights. "
                f"Received: {'sample_weight' if y is not None else 'no targets'}"
            )
        vocabularies = (self.source_vocabulary, self.target_vocabulary)
        for name, values, vocabulary in zip(("sources", "targets"), (x, y), vocabularies):
            array = checked_tokens(values, vocabulary, name)
            if array.ndim != 2:
                raise ValueError(
                    "Batches of tokens are ints [batch, length]. "
                    f"Received: {name} of shape {list(array.shape)}"
                )

    # Training

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        *,
        batch_tokens: int = _BATCH_TOKENS,
        validation_data: Any = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Train the model, with the arguments and the result of `keras.Model.fit`.

        Args:
            x: Sources: a list, tuple, array, series or generator of strings; or a data set of
                pairs of strings; or one of batches of tokens `(sources, targets)`, ints
                `[batch, length]`, padded, sources with their end, targets with start and end.
            y: Targets, as many.
            batch_size: Rows of a batch. Defaults to what `batch_tokens` allows.
            epochs: Passes over the data. Defaults to 1.
            batch_tokens: About so many tokens has the longer side of a batch. Defaults to 2,048.
            validation_data: `(sources, targets)`, or a data set as `x`.
            **kwargs: As in `keras.Model.fit`.

        Raises:
            ValueError: There are not as many targets as sources, a text is empty or longer than
                the model, or the data are no texts.
        """
        batches = self._batches(x, y, batch_tokens, batch_size, training=True)
        if validation_data is not None:
            held_out = (
                validation_data if isinstance(validation_data, tuple) else (validation_data, None)
            )
            validation_data = self._batches(
                held_out[0], held_out[1], batch_tokens, batch_size, training=False
            )
        steps = kwargs.get("steps_per_epoch") or int(batches.cardinality())
        self.compile_for(steps * epochs if steps > 0 else None)
        return super().fit(batches, epochs=epochs, validation_data=validation_data, **kwargs)

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        *,
        batch_tokens: int = _BATCH_TOKENS,
        **kwargs: Any,
    ) -> Any:
        """Evaluate the model on data as `fit` takes them."""
        if not self.compiled:
            self.compile()
        return super().evaluate(
            self._batches(x, y, batch_tokens, batch_size, training=False), **kwargs
        )

    def update_step(self, data: Any, noise: Any) -> dict[str, tf.Tensor]:
        source, target = _tokens(data)
        count = tf.reduce_sum(tf.cast(predictions_counted(target), tf.float32))
        variables = self.trainable_variables
        gradients, _, nats = self.gradients_of(
            lambda: self._objective(source, target, training=True),
            variables,
            loss_weight(count, self.optimizer),
        )
        self.apply_gradients(self.optimizer, gradients, variables)
        return self._logs(nats, count)

    def evaluation_step(self, data: Any, noise: Any) -> dict[str, tf.Tensor]:
        source, target = _tokens(data)
        count = tf.reduce_sum(tf.cast(predictions_counted(target), tf.float32))
        _, nats = self.replica_function(self._objective)(source, target, training=False)
        return self._logs(nats, count)

    def _logs(self, loss: tf.Tensor, count: tf.Tensor) -> dict[str, tf.Tensor]:
        self._perplexity.update_state(loss, sample_weight=count)
        return self.track_loss(loss, count)

    def _objective(
        self, source: tf.Tensor, target: tf.Tensor, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The loss, smoothed, and the mean of -log p; over the tokens that count."""
        nats, logits = self._token_nats(source, target, training)
        weights = tf.cast(predictions_counted(target), tf.float32)
        count = tf.reduce_sum(weights)
        mean = tf.math.divide_no_nan(tf.reduce_sum(nats * weights), count)
        if not training or not self.label_smoothing:
            return mean, mean
        spread = -tf.reduce_mean(tf.nn.log_softmax(logits), axis=-1)
        smooth = tf.math.divide_no_nan(tf.reduce_sum(spread * weights), count)
        return (1.0 - self.label_smoothing) * mean + self.label_smoothing * smooth, mean

    # Computing

    def encode(self, source: Any, training: bool = False) -> tuple[Any, Any]:
        """What the encoder says of sources.

        Args:
            source: Tokens `[batch, length]`, each with its end, padded.
            training: Whether to drop.

        Returns:
            Features `[batch, length, model_dim]`, and which places are padding, bool
            `[batch, 1, 1, length]`.
        """
        hidden = (source == PADDING)[:, None, None, :]
        places = tf.range(tf.shape(source)[1])[None]
        return self.encoder(source, hidden, places, training=training)[0], hidden

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Logits of the token after each one of the target.

        Args:
            inputs: `(sources, targets)`, tokens `[batch, length]`; targets begin with the start
                token.
            training: Whether to drop.

        Returns:
            float32 `[batch, length, vocabulary size]`. With `copying` those of what is written.
        """
        source, target = inputs
        return self._decoded(source, target, training)[0]

    def _decoded(self, source: Any, target: Any, training: bool) -> tuple[Any, ...]:
        source, target = (tf.cast(each, tf.int32) for each in (source, target))
        memory, hidden = self.encode(source, training)
        features, _ = self.decoder(
            target,
            hidden_from(segments(target)),
            tf.range(tf.shape(target)[1])[None],
            memory=self.decoder.memory_keys(memory),
            memory_hidden=hidden,
            training=training,
        )
        return self.decoder.logits(features), features, memory, hidden

    def _token_nats(
        self, source: tf.Tensor, target: tf.Tensor, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """-log p of each token after the first, and the logits."""
        logits, features, memory, hidden = self._decoded(source, target[:, :-1], training)
        following = target[:, 1:]
        if self.pointer is None:
            nats = tf.nn.sparse_softmax_cross_entropy_with_logits(following, logits)
            return nats, logits
        mixture = Mixture(logits, *self.pointer(features, self.pointer.key(memory), hidden[:, 0]))
        return -log_probability_of(mixture, following, source), logits

    def features(self, tokens: Any, training: bool = False) -> Any:
        """What the encoder says of each token of sources, `[batch, length, model_dim]`."""
        return self.encode(tf.cast(tokens, tf.int32), training)[0]

    def feature_network(self) -> keras.Model:
        """The encoder, from strings to features; `load_backbone` makes a backbone of it.

        Texts longer than the context are cut. A vocabulary of pieces needs `tensorflow-text`.
        """
        return feature_network(self)

    def tokens_of(self, texts: Any) -> tf.Tensor:
        """Tokens of sources, each with its end, cut to the context."""
        return tokens_in_graph(self.source_vocabulary, texts, self.context_length, start=False)

    # What the model says and writes

    def log_likelihood(self, sources: Any, targets: Any) -> np.ndarray:
        """Log p of each target given its source, its end included, in nats.

        Args:
            sources: Strings.
            targets: Strings, as many.

        Returns:
            float64 `[count]`.
        """
        pairs = self._pairs(*paired_texts(sources, targets))
        found = np.zeros(len(pairs.sources))
        if "nats" not in self._functions:
            self._functions["nats"] = tf.function(
                lambda source, target: self._token_nats(source, target, training=False)[0],
                jit_compile=bool(self.jit_compile),
                autograph=False,
            )
        for bucket in buckets(pairs, _BATCH_TOKENS):
            rows = bucket.rows
            ordered = Pairs([pairs.sources[r] for r in rows], [pairs.targets[r] for r in rows])
            whole = bucket._replace(rows=np.arange(len(rows)))
            nats = [
                tf.reduce_sum(
                    self._functions["nats"](source, target)
                    * tf.cast(predictions_counted(target), tf.float32),
                    axis=1,
                ).numpy()
                for source, target in pair_batches(ordered, [whole])
            ]
            found[rows] = -np.concatenate(nats)[: len(rows)]
        return found

    def generate(
        self,
        sources: Any,
        beam_width: int = 1,
        length_penalty: float = 1.0,
        max_tokens: int | None = None,
        temperature: float = 0.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
    ) -> list[str]:
        """A text for each source.

        Args:
            sources: Strings.
            beam_width: Hypotheses that are kept side by side; 1 (default) takes one token after
                the other.
            length_penalty: With a beam, log p of a text of `n` tokens counts divided by
                `n ** length_penalty`. Defaults to 1.
            max_tokens: Most tokens of each. Defaults to twice the longest source and 16, at most
                the context.
            temperature: Without a beam; 0 (default) takes the likeliest token.
            top_k: Only so many of the likeliest tokens. Defaults to all.
            top_p: Only the likeliest tokens that together have this probability. Defaults to all.
            seed: Of the draws. `None` (default) draws afresh each time.

        Returns:
            Strings, as many.

        Raises:
            ValueError: A number is out of its range, or a source is empty or longer than the
                model.
        """
        choice = Choice(temperature, top_k, top_p)
        choice.check()
        texts = as_texts(sources, "sources")
        return translated(self, texts, beam_width, length_penalty, max_tokens, choice, seed)

    def serving_endpoints(self, input_signature: Any = None) -> dict[str, Endpoint]:
        """See `sequences.endpoints.translation_endpoints`."""
        refuse_signature(self, input_signature)
        return translation_endpoints(self)

    # Saving

    def get_config(self) -> dict[str, Any]:
        stack = self.encoder
        shared = self.target_vocabulary is self.source_vocabulary
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "source_vocabulary": serialize(self.source_vocabulary),
            "target_vocabulary": None if shared else serialize(self.target_vocabulary),
            "num_layers": stack.num_layers,
            "model_dim": stack.model_dim,
            "num_heads": stack.num_heads,
            "dropout": stack.dropout_rate,
            "feedforward_dim": self.feedforward_dim,
            "context_length": self.context_length,
            "label_smoothing": self.label_smoothing,
            "copying": self.copying,
            "positions": stack.positions,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SequenceToSequence:
        return cls(
            **arguments_from_file(
                cls,
                config,
                source_vocabulary=Nested(Vocabulary),
                target_vocabulary=Nested(Vocabulary, optional=True),
            )
        )


def _tokens(data: Any) -> Sequence[tf.Tensor]:
    source, target, _ = keras.utils.unpack_x_y_sample_weight(data)
    return tf.cast(source, tf.int32), tf.cast(target, tf.int32)
