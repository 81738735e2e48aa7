"""A network that reads one text and predicts another: what models of pairs compute."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_transgen.sequences.copying import Mixture, Pointer, log_probability_of
from keras_transgen.sequences.packing import segments
from keras_transgen.sequences.sequence_model import SequenceModel, checked_vocabulary
from keras_transgen.sequences.sizes import check_sizes
from keras_transgen.sequences.text_encoder import feature_network, tokens_in_graph
from keras_transgen.sequences.token_codecs import PADDING
from keras_transgen.sequences.transformer.stack import TransformerStack, hidden_from
from keras_transgen.sequences.vocabulary import Vocabulary


class EncoderDecoder(SequenceModel):
    """An encoder of sources and a decoder of targets; how they are trained is a subclass's.

    A subclass calls `build` when all it has is there.

    Args:
        source_vocabulary: A `Vocabulary`.
        target_vocabulary: Another one, or the same, whose embedding is then shared; `None` for the
            same.
        num_layers: Blocks of the encoder, and of the decoder.
        model_dim: Size of the vectors, a multiple of `num_heads`.
        num_heads: Heads of attention.
        dropout: Share dropped in training.
        feedforward_dim: Size of the inner dense layers; `None` for 4 times `model_dim`.
        context_length: Most tokens of a source, and of a target.
        copying: Whether tokens of the source may be copied.
        positions: `"rotary"` or `"learned"`.
        **kwargs: Passed to `TrainerModel`.
    """

    def __init__(
        self,
        source_vocabulary: Vocabulary,
        target_vocabulary: Vocabulary | None,
        num_layers: int,
        model_dim: int,
        num_heads: int,
        dropout: float,
        feedforward_dim: int | None,
        context_length: int,
        copying: bool,
        positions: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        target_vocabulary = target_vocabulary or source_vocabulary
        checked_vocabulary(source_vocabulary, "source_vocabulary")
        checked_vocabulary(target_vocabulary, "target_vocabulary")
        check_sizes(
            context_length=context_length,
            num_layers=num_layers,
            model_dim=model_dim,
            num_heads=num_heads,
            feedforward_dim=4 * model_dim if feedforward_dim is None else feedforward_dim,
            dropout=dropout,
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
        self.copying = copying
        sizes = (
            num_layers,
            model_dim,
            num_heads,
            4 * model_dim if feedforward_dim is None else feedforward_dim,
        )
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

    def build(self, input_shape: Any = None) -> None:
        self.encoder.build()
        self.decoder.build()
        if self.pointer is not None:
            self.pointer.build()
        self.built = True

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
