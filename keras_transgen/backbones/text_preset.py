"""A KerasHub backbone with its preprocessor, from strings to features."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from keras_transgen.backbones.padding_mask import with_mask
from keras_transgen.training.config_from_file import Nested, arguments_from_file

_FEATURES = "sequence_output"
_PADDING = "padding_mask"


@dataclasses.dataclass(frozen=True)
class _Held:
    """A preprocessor that Keras does not count among the layers: it makes its own when called."""

    preprocessor: keras.Layer


@keras.saving.register_keras_serializable(package="keras_transgen")
class PresetTextFeatures(keras.layers.Layer):
    """Strings `[batch]` to what a KerasHub backbone says of each token, padding masked.

    Args:
        backbone: A backbone of `keras_hub.models` for texts. One with an encoder and a decoder has
            no features of a text alone.
        preprocessor: Its preprocessor, of a `TextClassifier` or a `CausalLM`.
        **kwargs: As in `keras.layers.Layer`.

    Raises:
        ValueError: The backbone gives no vector for each token.
    """

    def __init__(self, backbone: keras.Model, preprocessor: keras.Layer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        features = backbone.output
        if isinstance(features, dict):
            # Without what it has beside them: a pooled vector, of which nothing would train.
            features = features.get(_FEATURES)
            if features is not None:
                backbone = keras.Model(backbone.input, features, name=backbone.name)
        shape: tuple[int | None, ...] = getattr(features, "shape", ())
        if len(shape) != 3 or _PADDING not in backbone.input:
            raise ValueError(
                "A backbone of texts gives a vector for each token, [batch, length, size]: one "
                "with an encoder alone or a decoder alone does. "
                f"Received: backbone={backbone.name!r} of {type(backbone).__name__}"
            )
        self.backbone, self._held = backbone, _Held(preprocessor)
        self.feature_dim = shape[-1]
        self.supports_masking = True
        # Strings are not for XLA.
        self.supports_jit = False
        self.built = True

    @property
    def preprocessor(self) -> keras.Layer:
        """The preprocessor."""
        return self._held.preprocessor

    def save_assets(self, folder: str) -> None:
        """Save the vocabulary into a folder."""
        self.preprocessor.tokenizer.save_assets(folder)

    def load_assets(self, folder: str) -> None:
        """Load the vocabulary from a folder."""
        self.preprocessor.tokenizer.load_assets(folder)

    def call(self, texts: Any, training: bool = False) -> Any:
        tokens = self._without_common_padding(self._tokens(tf.reshape(texts, [-1])))
        mask = keras.ops.cast(tokens[_PADDING], "bool")
        return with_mask(self.backbone(tokens, training=training), mask)

    def _tokens(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        # A language model's preprocessor makes inputs and targets of a text when it is called.
        prepared = getattr(self.preprocessor, "generate_preprocess", self.preprocessor)(texts)
        return {name: prepared[name] for name in self.backbone.input}

    @staticmethod
    def _without_common_padding(tokens: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Preprocessors fill up to the longest text that the model takes."""
        lengths = tf.reduce_sum(tf.cast(tokens[_PADDING], tf.int32), axis=1)
        return {name: value[:, : tf.reduce_max(lengths)] for name, value in tokens.items()}

    def compute_output_spec(self, texts: Any, training: bool = False) -> Any:
        return keras.KerasTensor((None, None, self.feature_dim), self.backbone.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "preprocessor": keras.saving.serialize_keras_object(self.preprocessor),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> PresetTextFeatures:
        """Rebuild the layer, with fresh weights, from its configuration."""
        parts = {"backbone": Nested(keras.Model), "preprocessor": Nested(keras.Layer)}
        return cls(**arguments_from_file(cls, config, **parts))


def strings_to_features(backbone: keras.Model, preprocessor: keras.Layer) -> keras.Model:
    """A Keras model from strings `[batch]` to features `[batch, length, size]`.

    Args:
        backbone: As in `PresetTextFeatures`.
        preprocessor: As in `PresetTextFeatures`.
    """
    texts = keras.Input((), dtype="string", name="texts")
    features = PresetTextFeatures(backbone, preprocessor, name="features")(texts)
    return keras.Model(texts, features, name=backbone.name)
