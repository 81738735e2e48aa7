"""Normalization without batch statistics, whose scale and offset depend on an embedding."""

from __future__ import annotations

from typing import Any

import keras

from keras_transgen.generative.networks.group_normalization import group_normalization


@keras.saving.register_keras_serializable(package="keras_transgen")
class AdaptiveNormalization(keras.layers.Layer):
    """Group or layer normalization of features, scaled and moved by an embedding.

        y = normalized(x) * (1 + scale(embedding)) + offset(embedding)

    The map of the embedding starts at zero, so the layer starts as plain normalization.

    Args:
        groups: Groups of channels; as many as divide the channels too. `None` normalizes each
            place by its own channels (layer normalization).

    Reference:
        Perez et al., FiLM: visual reasoning with a general conditioning layer, 2018; Dhariwal and
        Nichol, Diffusion models beat GANs on image synthesis, 2021 (adaptive group normalization);
        Peebles and Xie, Scalable diffusion models with transformers, 2023 (adaptive layer norm).
    """

    def __init__(self, groups: int | None = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.groups = groups

    def build(self, input_shape: Any) -> None:
        features, embedding = input_shape
        self.normalization: keras.layers.Layer = (
            keras.layers.LayerNormalization(
                epsilon=1e-6, center=False, scale=False, dtype=self.dtype_policy
            )
            if self.groups is None
            else group_normalization(
                features[-1], self.groups, center=False, scale=False, dtype=self.dtype_policy
            )
        )
        self.normalization.build(features)
        self.modulation = keras.layers.Dense(
            2 * features[-1], kernel_initializer="zeros", name="modulation", dtype=self.dtype_policy
        )
        self.modulation.build(embedding)
        self.built = True

    def call(self, inputs: Any) -> Any:
        features, embedding = inputs
        shape = [-1] + [1] * (len(features.shape) - 2) + [2 * features.shape[-1]]
        modulation = keras.ops.reshape(self.modulation(embedding), shape)
        scale, offset = keras.ops.split(modulation, 2, axis=-1)
        return self.normalization(features) * (1 + scale) + offset

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "groups": self.groups}
