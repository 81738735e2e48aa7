"""Sequence to sequence: an encoder reads the source, a decoder writes the target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.sequences.decoding.token_choice import Choice
from keras_transgen.sequences.encoder_decoder import EncoderDecoder
from keras_transgen.sequences.endpoint_inputs import refuse_signature
from keras_transgen.sequences.endpoints import translation_endpoints
from keras_transgen.sequences.packing import predictions_counted
from keras_transgen.sequences.pair_batches import Pairs, buckets, pair_batches
from keras_transgen.sequences.paired_texts import is_token_batches, paired_texts, token_pairs
from keras_transgen.sequences.perplexity import Perplexity
from keras_transgen.sequences.sequence_model import check_known, checked_tokens
from keras_transgen.sequences.sizes import check_whole
from keras_transgen.sequences.texts import as_texts
from keras_transgen.sequences.translation_search import translated
from keras_transgen.sequences.vocabulary import Vocabulary
from keras_transgen.training import loss_weight
from keras_transgen.training.batches import split_last
from keras_transgen.training.config_from_file import Nested, arguments_from_file
from keras_transgen.training.serving import Endpoint

_BATCH_TOKENS = 2048


@keras.saving.register_keras_serializable(package="keras_transgen")
class SequenceToSequence(EncoderDecoder):
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
        super().__init__(
            source_vocabulary,
            target_vocabulary,
            num_layers,
            model_dim,
            num_heads,
            dropout,
            feedforward_dim,
            context_length,
            copying,
            positions,
            seed=seed,
            **kwargs,
        )
        if not 0.0 <= label_smoothing < 1.0:
            raise ValueError(
                f"label_smoothing must be in [0, 1). Received: label_smoothing={label_smoothing}"
            )
        self.label_smoothing = label_smoothing
        self._perplexity = Perplexity()
        self.build()

    # Data on their way in

    def _batches(
        self,
        sources: Any,
        targets: Any,
        batch_tokens: int,
        batch_size: int | None,
        training: bool,
        given: str = "fit(sources, targets)",
    ) -> tf.data.Dataset:
        """Texts as batches of tokens; data sets of tokens as they are."""
        if targets is None and is_token_batches(sources):
            return sources
        pairs = self._pairs(*paired_texts(sources, targets, given))
        check_known(pairs.sources, "sources")
        check_known(pairs.targets, "targets")
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
            longest = self.context_length + (name == "targets")
            if array.ndim != 2 or array.shape[1] > longest:
                raise ValueError(
                    f"Batches of tokens are ints [batch, length], of {name} at most {longest} long "
                    f"(context_length). Received: {name} of shape {list(array.shape)}"
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
        validation_split: float = 0.0,
        shuffle: bool = True,
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
            validation_split: Share of the pairs, the last ones, that is held out instead. Defaults
                to 0.
            shuffle: Whether each epoch has an order of its own; `False` for that of lengths.
            **kwargs: As in `keras.Model.fit`.

        Raises:
            ValueError: There are not as many targets as sources, a text is empty or longer than
                the model, or the data are no texts.
        """
        _refuse_options(batch_size, batch_tokens, kwargs)
        if validation_split and validation_data is None:
            (x, y), validation_data = split_last(
                tuple(np.array(each, object) for each in paired_texts(x, y)), validation_split
            )
        batches = self._batches(x, y, batch_tokens, batch_size, training=shuffle)
        if validation_data is not None:
            held_out = _held_out(validation_data)
            validation_data = self._batches(
                held_out[0],
                held_out[1],
                batch_tokens,
                batch_size,
                training=False,
                given="validation_data=(sources, targets)",
            )
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
        return super().evaluate(
            self._batches(x, y, batch_tokens, batch_size, training=False), **kwargs
        )

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Refused: what follows a source is written token by token.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            "A SequenceToSequence writes texts by generate(sources), and says how likely targets "
            "are by log_likelihood(sources, targets). Received: a call of predict"
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
        check_known(pairs.sources, "sources")
        check_known(pairs.targets, "targets")
        found = np.zeros(len(pairs.sources))

        def text_nats(source: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
            nats, _ = self._token_nats(source, target, training=False)
            return tf.reduce_sum(nats * tf.cast(predictions_counted(target), nats.dtype), axis=1)

        nats_of = self.kept_function("nats", text_nats)
        for bucket in buckets(pairs, _BATCH_TOKENS):
            rows = bucket.rows
            ordered = Pairs([pairs.sources[r] for r in rows], [pairs.targets[r] for r in rows])
            whole = bucket._replace(rows=np.arange(len(rows)))
            nats = [nats_of(*both).numpy() for both in pair_batches(ordered, [whole])]
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
        if beam_width == 1:
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


def _refuse_options(batch_size: Any, batch_tokens: Any, rest: dict[str, Any]) -> None:
    if batch_size is not None:
        check_whole("batch_size", batch_size)
    check_whole("batch_tokens", batch_tokens)
    weights = [each for each in ("sample_weight", "class_weight") if rest.get(each) is not None]
    if weights:
        raise ValueError(
            "fit(sources, targets) takes no weights: leave pairs out, or repeat them. "
            f"Received: {weights[0]}"
        )


def _held_out(given: Any) -> tuple[Any, Any]:
    """Sources and targets of validation data, or a data set without targets."""
    if not isinstance(given, (tuple, list)):
        return given, None
    if len(given) != 2 or any(isinstance(part, (str, bytes)) for part in given):
        raise ValueError(
            "Each source needs a target: validation_data=(sources, targets), two lists of texts, "
            f"without weights. Received: a {type(given).__name__} of {len(given)}"
        )
    return given[0], given[1]


def _tokens(data: Any) -> Sequence[tf.Tensor]:
    source, target, _ = keras.utils.unpack_x_y_sample_weight(data)
    return tf.cast(source, tf.int32), tf.cast(target, tf.int32)
