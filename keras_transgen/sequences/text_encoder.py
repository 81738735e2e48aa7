"""A trained model of texts as a network from strings to features, for transfer."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_transgen.backbones.padding_mask import with_mask
from keras_transgen.sequences.sequence_model import SequenceModel
from keras_transgen.sequences.token_codecs import END, PADDING, START
from keras_transgen.sequences.vocabulary import Vocabulary
from keras_transgen.training.config_from_file import Nested, arguments_from_file


@keras.saving.register_keras_serializable(package="keras_transgen")
class TextFeatures(keras.layers.Layer):
    """Strings `[batch]` to what a trained model says of each token, padding masked.

    Args:
        model: A `LanguageModel`, or a `SequenceToSequence`, whose encoder is used.
        **kwargs: As in `keras.layers.Layer`.
    """

    def __init__(self, model: SequenceModel, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.supports_masking = True
        # Strings are not for XLA.
        self.supports_jit = False
        self.built = True

    def call(self, texts: Any, training: bool = False) -> Any:
        tokens = self.model.tokens_of(texts)
        return with_mask(self.model.features(tokens, training=training), tokens != PADDING)

    def compute_output_spec(self, texts: Any, training: bool = False) -> Any:
        return keras.KerasTensor((None, None, self.model.feature_dim), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        model = keras.saving.serialize_keras_object(self.model)
        return {**super().get_config(), "model": model}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TextFeatures:
        return cls(**arguments_from_file(cls, config, model=Nested(SequenceModel)))


def feature_network(model: SequenceModel) -> keras.Model:
    """A Keras model from strings `[batch]` to features `[batch, length, feature_dim]`.

    Args:
        model: The trained model.
    """
    texts = keras.Input((), dtype="string", name="texts")
    return keras.Model(texts, TextFeatures(model, name="features")(texts), name=model.name)


def tokens_in_graph(vocabulary: Vocabulary, texts: Any, max_length: int, start: bool) -> tf.Tensor:
    """Strings `[batch]` as tokens `[batch, length]`, padded; longer texts are cut.

    Args:
        vocabulary: One of pieces needs `tensorflow-text`.
        texts: Strings.
        max_length: Most tokens, special ones included.
        start: Whether texts begin with the start token.
    """
    texts = tf.reshape(texts, [-1])
    tokens = vocabulary.tokenize(texts)[:, : max_length - 1 - start]
    ends = tf.ones_like(texts, tf.int32)[:, None]
    parts = [ends * START] * start + [tokens, ends * END]
    return tf.concat(parts, axis=1).to_tensor(PADDING)
