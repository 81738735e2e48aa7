"""Texts as vectors, by a small network that trains with the model that is told them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_transgen.datasets.printable import printable
from keras_transgen.sequences.sequence_model import checked_tokens, checked_vocabulary
from keras_transgen.sequences.sizes import check_whole
from keras_transgen.sequences.text_encoder import tokens_in_graph
from keras_transgen.sequences.texts import as_texts
from keras_transgen.sequences.token_codecs import PADDING, SPECIAL, PieceCodec
from keras_transgen.sequences.vocabulary import Vocabulary
from keras_transgen.training.config_from_file import Nested, arguments_from_file

_SHOWN = 3


@keras.saving.register_keras_serializable(package="keras_transgen")
class TextEncoder(keras.layers.Layer):
    """Strings `[batch]` to vectors `[batch, features]`: convolutions over tokens, and their maxima.

    It is a `condition_encoder` of `ConditionalGAN` that starts untrained and learns with the
    generator. The GAN makes tokens of texts where they enter, so that its steps are compiled as
    with any other numbers. Padding changes nothing.

    Args:
        vocabulary: What makes tokens of texts. One of pieces needs `tensorflow-text` where strings
            are given in a graph, as exported models do.
        features: Length of the vectors. Defaults to 64.
        max_length: Most tokens, the end included; longer texts are cut. Defaults to 32.
        embedding_dim: Length of a token's vector. Defaults to 64.
        filters: Of each convolution. Defaults to 64.
        widths: How many tokens each convolution sees at once. Defaults to `(1, 2, 3)`.
        **kwargs: As in `keras.layers.Layer`.

    Raises:
        ValueError: A size is no whole number from 1 on, or there is no vocabulary.

    Example:
        ```python
        import numpy as np
        import keras_transgen as ktg

        images, labels = ktg.datasets.load_digits()
        names = np.array("zero one two three four five six seven eight nine".split())
        encoder = ktg.TextEncoder(ktg.Vocabulary.characters(names))
        gan = ktg.ConditionalGAN(
            image_shape=(8, 8, 1), condition_encoder=encoder, filters=8, value_range=(0.0, 1.0)
        )
        gan.fit(images, names[labels], batch_size=64, epochs=1, verbose=0)
        samples = gan.sample(["seven", "two"], seed=0)
        ```

    Reference:
        Kim, "Convolutional neural networks for sentence classification", 2014.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        features: int = 64,
        max_length: int = 32,
        embedding_dim: int = 64,
        filters: int = 64,
        widths: Sequence[int] = (1, 2, 3),
        **kwargs: Any,
    ) -> None:
        # Tokens must not be cast to the policy's float type on their way in.
        super().__init__(**{**kwargs, "autocast": False})
        self.vocabulary = checked_vocabulary(vocabulary)
        self.widths = tuple(widths)
        sizes = {"features": features, "max_length": max_length, "embedding_dim": embedding_dim}
        sizes |= {"filters": filters} | {f"widths[{i}]": each for i, each in enumerate(self.widths)}
        for name, size in sizes.items():
            check_whole(name, size)
        if not self.widths:
            raise ValueError("widths must hold at least one width. Received: widths=()")
        self.features, self.max_length = features, max_length
        self.embedding_dim, self.filters = embedding_dim, filters
        layers, policy = keras.layers, {"dtype": self.dtype_policy}
        self.embedding = layers.Embedding(
            self.vocabulary.size, embedding_dim, "random_normal", name="embedding", **policy
        )
        self.convolutions = [
            layers.Conv1D(
                filters, width, padding="same", activation="relu", name=f"width_{width}", **policy
            )
            for width in self.widths
        ]
        self.projection = layers.Dense(features, name="projection", **policy)
        self.embedding.build()
        for convolution in self.convolutions:
            convolution.build((None, max_length, embedding_dim))
        self.projection.build((None, filters * len(self.widths)))
        self.built = True

    def tokens(self, texts: Any) -> np.ndarray:
        """The tokens of texts, as the network takes them; tokens stay what they are.

        Args:
            texts: Strings `[count]`, or tokens `[count, max_length]`.

        Returns:
            Int32 `[count, max_length]`, padded.

        Raises:
            ValueError: A text is empty or no string, or the vocabulary knows no token of it.
        """
        if getattr(getattr(texts, "dtype", None), "kind", "") in tuple("iu"):
            return self._checked(texts)
        words = as_texts(texts, "conditions")
        rows = np.full((len(words), self.max_length), PADDING, "int32")
        numbers: dict[str, list[int]] = {}
        for row, text in zip(rows, words):
            if text not in numbers:
                numbers[text] = self.vocabulary.encode(text)[: self.max_length - 1]
            row[: len(numbers[text]) + 1] = [*numbers[text], self.vocabulary.end]
        strange = [text for text, found in numbers.items() if max(found, default=0) < SPECIAL]
        if strange:
            shown = printable(", ".join(strange[:_SHOWN]), 120)
            raise ValueError(
                "The encoder's vocabulary knows nothing of some conditions; make it of all texts "
                "that will be asked for: Vocabulary.characters(texts), or Vocabulary.bytes(), "
                f"which knows any. Received: {len(strange)} such texts: {shown}"
            )
        return rows

    def _checked(self, tokens: Any) -> np.ndarray:
        if np.ndim(tokens) != 2 or np.shape(tokens)[1] != self.max_length:
            raise ValueError(
                f"Conditions are texts, strings [batch], or their tokens [batch, {self.max_length}]"
                f". Received: numbers of shape {list(np.shape(tokens))}"
            )
        return checked_tokens(tokens, self.vocabulary, "conditions").astype("int32")

    def graph_resources(self) -> tuple[Any, ...]:
        """What TensorFlow must save besides variables: SentencePiece's model."""
        codec = self.vocabulary.codec
        return (codec.in_graph,) if isinstance(codec, PieceCodec) else ()

    def copied(self) -> TextEncoder:
        """A new one of the same sizes and vocabulary, with weights of its own."""
        return TextEncoder(**{**self.get_config(), "vocabulary": self.vocabulary})

    def call(self, texts: Any, training: bool = False) -> Any:
        tokens = tf.convert_to_tensor(texts)
        if tokens.dtype == tf.string:
            tokens = tokens_in_graph(self.vocabulary, tokens, self.max_length, start=False)
        is_token = ops.cast(tokens != PADDING, self.compute_dtype)[..., None]
        vectors = self.embedding(tokens) * is_token
        found = [ops.max(each(vectors) * is_token, axis=1) for each in self.convolutions]
        return self.projection(ops.concatenate(found, axis=-1))

    def compute_output_spec(self, texts: Any, training: bool = False) -> Any:
        return keras.KerasTensor((texts.shape[0], self.features), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("autocast", None)
        return {
            **config,
            "vocabulary": keras.saving.serialize_keras_object(self.vocabulary),
            "features": self.features,
            "max_length": self.max_length,
            "embedding_dim": self.embedding_dim,
            "filters": self.filters,
            "widths": list(self.widths),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TextEncoder:
        return cls(**arguments_from_file(cls, config, vocabulary=Nested(Vocabulary)))
