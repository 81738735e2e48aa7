"""A language model: the probability of each token after those before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.sequences.decoding.token_choice import Choice
from keras_transgen.sequences.endpoint_inputs import refuse_signature
from keras_transgen.sequences.endpoints import language_endpoints
from keras_transgen.sequences.language_generation import generated_texts
from keras_transgen.sequences.language_likelihood import log_likelihoods
from keras_transgen.sequences.packing import (
    cropped,
    packed,
    positions_in_segments,
    predictions_counted,
    segments,
    windows,
)
from keras_transgen.sequences.perplexity import Perplexity
from keras_transgen.sequences.sequence_model import (
    SequenceModel,
    check_known,
    checked_tokens,
    checked_vocabulary,
)
from keras_transgen.sequences.sizes import check_sizes
from keras_transgen.sequences.text_encoder import feature_network, tokens_in_graph
from keras_transgen.sequences.texts import as_texts, holds_texts
from keras_transgen.sequences.token_rows import same_length
from keras_transgen.sequences.transformer.stack import TransformerStack, hidden_from
from keras_transgen.sequences.vocabulary import Vocabulary
from keras_transgen.training import loss_weight
from keras_transgen.training.config_from_file import Nested, arguments_from_file
from keras_transgen.training.serving import Endpoint

# A document of so many contexts is read in windows that each epoch cuts anew.
_STREAM = 8


@keras.saving.register_keras_serializable(package="keras_transgen")
class LanguageModel(SequenceModel):
    """A decoder-only Transformer over the tokens of a vocabulary.

    `fit(texts)` takes documents: short ones share a row, in which none sees another; long ones are
    cut into windows. `loss` is the mean of -log p over the tokens, in nats, ends included;
    `perplexity` is its exponential.

    Args:
        vocabulary: A `Vocabulary`.
        context_length: Most tokens that a prediction sees. Defaults to 256.
        num_layers: Blocks. Defaults to 4.
        model_dim: Size of the vectors, a multiple of `num_heads`. Defaults to 128.
        num_heads: Heads of attention. Defaults to 4.
        dropout: Share dropped in training. Defaults to 0.1.
        feedforward_dim: Size of the inner dense layers. Defaults to 4 times `model_dim`.
        positions: `"rotary"` (default) or `"learned"`.
        seed: Seed of order, windows and dropout. See `TrainerModel`.
        **kwargs: Passed to `keras.Model`.

    Raises:
        ValueError: An argument is out of its range.

    Example:
        ```python
        import keras_transgen as ktg

        texts = ["to be or not to be"] * 50
        vocabulary = ktg.Vocabulary.characters(texts)
        model = ktg.LanguageModel(vocabulary, context_length=32, num_layers=1, model_dim=16)
        model.fit(texts, epochs=1, verbose=0)
        continued = model.generate(["to be"], max_tokens=8, seed=0)
        nats = model.log_likelihood(["not to be"])
        ```

    Reference:
        Radford et al., "Language models are unsupervised multitask learners", 2019.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        context_length: int = 256,
        num_layers: int = 4,
        model_dim: int = 128,
        num_heads: int = 4,
        dropout: float = 0.1,
        feedforward_dim: int | None = None,
        positions: str = "rotary",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        check_sizes(
            context_length=context_length,
            num_layers=num_layers,
            model_dim=model_dim,
            num_heads=num_heads,
            feedforward_dim=4 * model_dim if feedforward_dim is None else feedforward_dim,
            dropout=dropout,
        )
        self.vocabulary = checked_vocabulary(vocabulary)
        self.context_length, self.feature_dim = context_length, model_dim
        self.feedforward_dim = feedforward_dim
        self.network = TransformerStack(
            vocabulary.size,
            context_length,
            num_layers,
            model_dim,
            num_heads,
            4 * model_dim if feedforward_dim is None else feedforward_dim,
            dropout,
            positions,
            name="network",
            dtype=self.dtype_policy,
        )
        self._perplexity = Perplexity()
        self.build()

    def build(self, input_shape: Any = None) -> None:
        self.network.build()
        self.built = True

    # Data on their way in

    def rows_of(self, texts: list[str], training: bool) -> np.ndarray:
        documents = self.vocabulary.encode(texts, start=True, end=True)
        check_known(documents)
        return self._rows(documents, training)

    def entered(self, name: str, value: Any, training: bool) -> Any:
        """Texts, a stream of tokens, or rows of tokens, as rows of tokens."""
        is_array = isinstance(value, (np.ndarray, tf.Tensor))
        if name == "x" and is_array and len(value.shape) == 1 and not holds_texts(value):
            stream = checked_tokens(value, self.vocabulary)
            return self._rows([stream.tolist()], training)
        return super().entered(name, value, training)

    def _rows(self, documents: list[list[int]], training: bool) -> np.ndarray:
        context = self.context_length
        long = [each for each in documents if training and len(each) > _STREAM * context]
        short = [each for each in documents if not training or len(each) <= _STREAM * context]
        rows = packed(short, context) if short else np.zeros((0, context + 1), "int32")
        # Packing sorts by length, and `validation_split` takes what comes last.
        rows = np.random.default_rng(0).permutation(rows)
        if not long:
            return rows
        cut = [windows(np.asarray(each, "int32"), context) for each in long]
        return np.concatenate([*cut, same_length(rows.tolist(), 2 * context + 1)] if short else cut)

    def check_data(self, x: Any, y: Any, sample_weight: Any, training: bool) -> None:
        """Refuse what is no row of tokens, and labels."""
        if y is not None or sample_weight is not None:
            self.refuse_labels("y" if y is not None else "sample_weight")
        shape = tuple(np.shape(x))
        widths = (self.context_length + 1, 2 * self.context_length + 1)
        if len(shape) != 2 or not (1 < shape[1] <= widths[0] or shape[1] == widths[1]):
            raise ValueError(
                "A language model takes texts, a stream of tokens [length], or rows of tokens "
                f"[count, length] of at most context_length + 1 = {widths[0]}. "
                f"Received: x of shape {list(shape)}"
            )
        tokens = checked_tokens(x, self.vocabulary)
        if not np.asarray(predictions_counted(tf.convert_to_tensor(tokens))).any():
            raise ValueError(
                "There is nothing to predict: every text must have at least one token. "
                f"Received: {shape[0]} rows without any"
            )

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Logits of rows of tokens, with the arguments of `keras.Model.predict`.

        Raises:
            ValueError: x is texts, of which several share a row.
        """
        if holds_texts(x):
            raise ValueError(
                "A language model goes on from texts by generate(texts), and says how likely they "
                "are by log_likelihood(texts); predict takes rows of tokens. Received: texts"
            )
        return super().predict(x, *args, **kwargs)

    # Training

    def draw_noise(self, data: Any, seed: tf.Tensor, training: bool) -> Any:
        """Where the window of each row begins, `[batch]` in [0, 1)."""
        rows = keras.utils.unpack_x_y_sample_weight(data)[0]
        return tf.random.stateless_uniform(tf.shape(rows)[:1], seed)

    def update_step(self, data: Any, noise: Any) -> dict[str, tf.Tensor]:
        tokens = self._windows(data, noise)
        count = tf.reduce_sum(tf.cast(predictions_counted(tokens), tf.float32))
        variables = self.trainable_variables
        gradients, loss, _ = self.gradients_of(
            lambda: (self._mean_nats(tokens, training=True), ()),
            variables,
            loss_weight(count, self.optimizer),
        )
        self.apply_gradients(self.optimizer, gradients, variables)
        return self._logs(loss, count)

    def evaluation_step(self, data: Any, noise: Any) -> dict[str, tf.Tensor]:
        tokens = self._windows(data, noise)
        count = tf.reduce_sum(tf.cast(predictions_counted(tokens), tf.float32))
        return self._logs(self.replica_function(self._mean_nats)(tokens, training=False), count)

    def _windows(self, data: Any, uniform: tf.Tensor) -> tf.Tensor:
        rows = tf.cast(keras.utils.unpack_x_y_sample_weight(data)[0], tf.int32)
        if rows.shape[1] == 2 * self.context_length + 1:
            return cropped(rows, uniform, self.context_length)
        return rows

    def _logs(self, loss: tf.Tensor, count: tf.Tensor) -> dict[str, tf.Tensor]:
        self._perplexity.update_state(loss, sample_weight=count)
        return self.track_loss(loss, count)

    # Computing

    def call(self, tokens: Any, training: bool = False) -> Any:
        """Logits of the token after each one.

        Args:
            tokens: Ints `[batch, length]`, each text with its start token in front, padded.
            training: Whether to drop.

        Returns:
            float32 `[batch, length, vocabulary size]`.
        """
        return self.network.logits(self.features(tokens, training=training))

    def features(self, tokens: Any, training: bool = False) -> Any:
        """What the last block says of each token, `[batch, length, model_dim]`."""
        tokens = tf.cast(tokens, tf.int32)
        hidden = hidden_from(segments(tokens))
        rotary = self.network.positions == "rotary"
        # Turned by rotations, only distances count, which are the same from anywhere.
        places = tf.range(tf.shape(tokens)[1])[None] if rotary else positions_in_segments(tokens)
        return self.network(tokens, hidden, places, training=training)[0]

    def token_nats(self, tokens: tf.Tensor, training: bool) -> tf.Tensor:
        """-log p of each token after the first, zero where it is not counted."""
        nats = tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=tokens[:, 1:], logits=self(tokens[:, :-1], training=training)
        )
        return nats * tf.cast(predictions_counted(tokens), nats.dtype)

    def _mean_nats(self, tokens: tf.Tensor, training: bool) -> tf.Tensor:
        count = tf.reduce_sum(tf.cast(predictions_counted(tokens), tf.float32))
        return tf.math.divide_no_nan(tf.reduce_sum(self.token_nats(tokens, training)), count)

    def feature_network(self) -> keras.Model:
        """A network from strings to features of each token; `load_backbone` makes a backbone of it.

        Texts longer than the context are cut. A vocabulary of pieces needs `tensorflow-text`.
        """
        return feature_network(self)

    def tokens_of(self, texts: Any) -> tf.Tensor:
        """Tokens of strings, each with start and end, cut to the context."""
        return tokens_in_graph(self.vocabulary, texts, self.context_length, start=True)

    # What the model says of texts

    def log_likelihood(self, texts: Any) -> np.ndarray:
        """Log p of each text, its end included, in nats.

        Each token of a text longer than the context is predicted from at least half a context.

        Args:
            texts: Strings.

        Returns:
            float64 `[count]`.
        """
        documents = self.vocabulary.encode(as_texts(texts, empty=True), start=True, end=True)
        check_known(documents)
        return log_likelihoods(self, documents)

    def bits_per_character(self, texts: Any) -> float:
        """Mean -log2 p of a character of texts, their ends included in the numerator.

        Args:
            texts: Strings.
        """
        texts = as_texts(texts)
        return -float(self.log_likelihood(texts).sum()) / math.log(2) / sum(map(len, texts))

    def bits_per_byte(self, texts: Any) -> float:
        """Mean -log2 p of a byte of texts in UTF-8, their ends included in the numerator.

        Args:
            texts: Strings.
        """
        texts = as_texts(texts)
        size = sum(len(text.encode()) for text in texts)
        return -float(self.log_likelihood(texts).sum()) / math.log(2) / size

    def generate(
        self,
        prompts: Any = ("",),
        max_tokens: int = 64,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        stop: str | Sequence[str] = (),
    ) -> list[str]:
        """Texts that go on where prompts end.

        Args:
            prompts: Strings, of any lengths; `""` begins a text. Defaults to one of these.
            max_tokens: Most tokens for each. Defaults to 64. Beyond the context the model goes on
                from the last half of what it saw.
            temperature: Divides the logits; 0 takes the likeliest token each time. Defaults to 1.
            top_k: Only so many of the likeliest tokens. Defaults to all.
            top_p: Only the likeliest tokens that together have this probability. Defaults to all.
            seed: Of the draws. `None` (default) draws afresh each time.
            stop: Characters or pieces, each a single token, that end a text as its end token does;
                they are kept. Defaults to none.

        Returns:
            The continuations, without the prompts.

        Raises:
            ValueError: A number is out of its range, or a prompt is longer than the context.
        """
        choice = Choice(temperature, top_k, top_p)
        choice.check()
        return generated_texts(
            self, as_texts(prompts, "prompts", True), max_tokens, choice, seed, stop
        )

    def serving_endpoints(self, input_signature: Any = None) -> dict[str, Endpoint]:
        """See `sequences.endpoints.language_endpoints`."""
        refuse_signature(self, input_signature)
        return language_endpoints(self)

    # Saving

    def get_config(self) -> dict[str, Any]:
        network = self.network
        return {
            **super().get_config(),
            "vocabulary": keras.saving.serialize_keras_object(self.vocabulary),
            "context_length": self.context_length,
            "num_layers": network.num_layers,
            "model_dim": network.model_dim,
            "num_heads": network.num_heads,
            "dropout": network.dropout_rate,
            "feedforward_dim": self.feedforward_dim,
            "positions": network.positions,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LanguageModel:
        return cls(**arguments_from_file(cls, config, vocabulary=Nested(Vocabulary)))
