"""How a condition enters a generator and a discriminator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_transgen.generative.networks.spectral_normalization import (
    SpectralNormalization,
    spectrally_normalized,
)


@keras.saving.register_keras_serializable(package="keras_transgen")
class ConditionEmbedding(keras.layers.Layer):
    """A vector `[batch, embedding_dim]` for each condition.

    Of `num_classes` integer classes it is looked up, of vectors (`num_classes=None`) a linear map.
    With `unlabelled` one more vector is learned, for examples without a condition, which `dropped`
    (booleans `[batch]`) tells. With `unit_conditions` the vectors have unit variance, and the
    embeddings start as large as those of classes, `initial_scale` a feature. With
    `spectral_normalization` the table has spectral norm one; see `SpectralNormalization`.
    """

    def __init__(
        self,
        embedding_dim: int,
        num_classes: int | None = None,
        unlabelled: bool = False,
        initial_scale: float = 1.0,
        spectral_normalization: bool = False,
        unit_conditions: bool = False,
        **kwargs: Any,
    ) -> None:
        # Integer conditions must not be cast to the policy's float type on their way in.
        super().__init__(autocast=num_classes is None, **kwargs)
        self.embedding_dim = embedding_dim
        self.num_classes = num_classes
        self.unlabelled = unlabelled
        self.initial_scale = initial_scale
        self.spectral_normalization = spectral_normalization
        self.unit_conditions = unit_conditions

    def build(self, condition_shape: Any, dropped_shape: Any = None) -> None:
        rows = self.num_classes or condition_shape[-1]
        scale = self.initial_scale
        if self.num_classes is None:
            scale *= rows**-0.5
        normal = keras.initializers.RandomNormal(stddev=scale)
        known = self.num_classes is not None or self.unit_conditions
        self.table = self.add_weight(
            name="table",
            shape=(rows, self.embedding_dim),
            initializer=normal if known else "glorot_uniform",
        )
        if self.spectral_normalization:
            with keras.name_scope(self.name, caller=self):
                # Replicas hold equal kernels, and each writes its own copy, which a layer's own
                # `add_weight` does not offer.
                self.vector = keras.Variable(
                    keras.initializers.RandomNormal(stddev=1.0)((1, self.embedding_dim), "float32"),
                    dtype="float32",
                    trainable=False,
                    autocast=False,
                    name="vector_u",
                    synchronization="on_read",
                    aggregation="only_first_replica",
                )
        if self.unlabelled:
            self.nothing = self.add_weight(
                name="nothing", shape=(self.embedding_dim,), initializer="zeros"
            )
        self.built = True

    def call(self, condition: Any, dropped: Any = None, training: bool = False) -> tf.Tensor:
        if self.num_classes is not None:
            # A product with one-hot rows has a dense gradient, which replicas can sum and XLA can
            # compile; that of a lookup is sparse.
            condition = tf.one_hot(tf.cast(condition, tf.int32), self.num_classes)
        table = self.table.value
        if self.spectral_normalization:
            moves = training and self.trainable
            table = spectrally_normalized(self.table, self.vector, 1 if moves else 0)
        table = tf.cast(table, self.compute_dtype)
        embedding = tf.matmul(tf.cast(condition, self.compute_dtype), table)
        if not self.unlabelled or dropped is None:
            return embedding
        nothing = tf.cast(self.nothing.value, self.compute_dtype)
        return tf.where(dropped[:, None], nothing[None, :], embedding)

    def compute_output_shape(self, condition_shape: Any, dropped_shape: Any = None) -> tuple:
        return (condition_shape[0], self.embedding_dim)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("autocast", None)
        return {
            **config,
            "embedding_dim": self.embedding_dim,
            "num_classes": self.num_classes,
            "unlabelled": self.unlabelled,
            "initial_scale": self.initial_scale,
            "spectral_normalization": self.spectral_normalization,
            "unit_conditions": self.unit_conditions,
        }


@keras.saving.register_keras_serializable(package="keras_transgen")
class ConditionalNormalization(keras.layers.Layer):
    """Batch normalization of features whose scale and offset depend on an embedding.

    Reference:
        de Vries et al., Modulating early visual processing by language, 2017; Dumoulin, Shlens and
        Kudlur, A learned representation for artistic style, 2017.
    """

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.momentum = momentum
        self.epsilon = epsilon
        self.normalization = keras.layers.BatchNormalization(
            momentum=momentum, epsilon=epsilon, center=False, scale=False, dtype=self.dtype_policy
        )

    def build(self, input_shape: Any) -> None:
        features, embedding = input_shape
        self.normalization.build(features)
        # Starts as plain normalization: scale one, offset zero, whatever the condition.
        self.scale = keras.layers.Dense(
            features[-1], kernel_initializer="zeros", name="scale", dtype=self.dtype_policy
        )
        self.offset = keras.layers.Dense(
            features[-1], kernel_initializer="zeros", name="offset", dtype=self.dtype_policy
        )
        self.scale.build(embedding)
        self.offset.build(embedding)
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> tf.Tensor:
        features, embedding = inputs
        normal = self.normalization(features, training=training)
        shape = [-1] + [1] * (len(normal.shape) - 2) + [normal.shape[-1]]
        scale = tf.reshape(self.scale(embedding), shape)
        offset = tf.reshape(self.offset(embedding), shape)
        return normal * (1 + scale) + offset

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "epsilon": self.epsilon}


@keras.saving.register_keras_serializable(package="keras_transgen")
class Projection(keras.layers.Layer):
    """The inner product of an example's features with its mapped condition, `[batch, 1]`.

    It is divided by the root of the number of features: with thousands of them an optimizer's step
    on the map would else move the logit by tens, where it moves the unconditional one by less than
    one, and the discriminator would outrun the generator at once.

    With `spectral_normalization` the map has spectral norm one, and nothing is divided, as in the
    paper.

    Reference:
        Miyato and Koyama, cGANs with projection discriminator, 2018.
    """

    def __init__(self, spectral_normalization: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spectral_normalization = spectral_normalization

    def build(self, input_shape: Any) -> None:
        features, embedding = input_shape
        self.map: keras.layers.Layer = keras.layers.Dense(
            features[-1], use_bias=False, name="map", dtype=self.dtype_policy
        )
        if self.spectral_normalization:
            self.map = SpectralNormalization(self.map, name="spectral_map")
        self.map.build(embedding)
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> tf.Tensor:
        features, embedding = inputs
        if self.spectral_normalization:
            mapped = self.map(embedding, training=training)
            return keras.ops.sum(features * mapped, axis=-1, keepdims=True)
        inner = keras.ops.sum(features * self.map(embedding), axis=-1, keepdims=True)
        return inner / features.shape[-1] ** 0.5

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "spectral_normalization": self.spectral_normalization}

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return (input_shape[0][0], 1)


Inputs = tuple[Any, Any, Any]


def generator_inputs(latent_dim: int, embedding_dim: int | None, conditioning: str) -> Inputs:
    """A generator's inputs, what its first layer takes, and the embedding for normalization."""
    latent = keras.Input((latent_dim,), name="latent")
    if not embedding_dim:
        return latent, latent, None
    embedding = keras.Input((embedding_dim,), name="condition")
    if conditioning == "normalization":
        return [latent, embedding], latent, embedding
    return [latent, embedding], keras.layers.Concatenate()([latent, embedding]), None


def discriminator_inputs(
    example_shape: Sequence[int], embedding_dim: int | None, conditioning: str | None
) -> Inputs:
    """A discriminator's inputs, what its first layer takes, and the embedding to project on.

    A condition joins an image or a sequence as one more channel, a linear map of its embedding.
    """
    places = tuple(example_shape[:-1])
    name = {0: "vector", 1: "sequence"}.get(len(places), "image")
    example = keras.Input(tuple(example_shape), name=name)
    if embedding_dim is None or conditioning is None:
        return example, example, None
    embedding = keras.Input((embedding_dim,), name="condition")
    if conditioning == "projection":
        return [example, embedding], example, embedding
    joined = embedding
    if places:
        joined = keras.layers.Dense(math.prod(places), name="condition_map")(embedding)
        joined = keras.layers.Reshape((*places, 1))(joined)
    return [example, embedding], keras.layers.Concatenate()([example, joined]), None


def discriminator_outputs(
    features: Any,
    embedding: Any,
    auxiliary_classes: int | None,
    spectral_normalization: bool = False,
) -> Any:
    """A discriminator's logit `[batch, 1]`, and logits of classes where asked for; float32.

    It adds the inner product of the features with an embedding, where there is one.
    """

    def dense(units: int, name: str) -> Any:
        layer = keras.layers.Dense(units, dtype="float32", name=name)
        if spectral_normalization:
            layer = SpectralNormalization(layer, name=f"spectral_{name}")
        return layer(features)

    logit = dense(1, "logit")
    if embedding is not None:
        projection = Projection(spectral_normalization, dtype="float32", name="projection")
        inner = projection([features, embedding])
        logit = keras.layers.Add(dtype="float32")([logit, inner])
    if auxiliary_classes is None:
        return logit
    return [logit, dense(auxiliary_classes, "class_logits")]
