"""From the samples before to the distribution of the next one."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_transgen.sequences.wavenet.gated_stack import GatedStack, StepWeights
from keras_transgen.sequences.wavenet.sample_distributions import SampleDistribution


class SampleNetwork(keras.layers.Layer):
    """Levels in, gated layers, and a head that gives a distribution's parameters in float32.

    Args:
        distribution: Of a sample.
        dilations: Of the gated layers.
        residual_channels: As in `GatedStack`.
        skip_channels: The same.
        head_channels: Of the layer before the last.
        condition_channels: Of the conditions.
        **kwargs: As in `keras.layers.Layer`.
    """

    def __init__(
        self,
        distribution: SampleDistribution,
        dilations: tuple[int, ...],
        residual_channels: int,
        skip_channels: int,
        head_channels: int,
        condition_channels: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.distribution, self.condition_channels = distribution, condition_channels
        options = {"dtype": self.dtype_policy}
        self.embedding = None
        if distribution.of_classes:
            self.embedding = keras.layers.Embedding(
                distribution.levels, residual_channels, name="embedding", **options
            )
        # A level's own value beside its vector: levels near each other sound alike.
        self.value = keras.layers.Dense(residual_channels, name="value", **options)
        self.stack = GatedStack(
            dilations,
            residual_channels,
            skip_channels,
            condition_channels,
            name="stack",
            **options,
        )
        self.hidden = keras.layers.Dense(head_channels, "relu", name="hidden", **options)
        self.head = keras.layers.Dense(distribution.parameters, name="parameters", dtype="float32")

    def build(self, input_shape: Any = None) -> None:
        if self.embedding is not None:
            self.embedding.build((None, None))
        self.value.build((None, None, 1))
        self.hidden.build((None, None, self.stack.skip_channels))
        self.head.build((None, None, self.hidden.units))
        self.built = True

    def call(self, levels: Any, conditions: Any) -> tf.Tensor:
        """Parameters of the sample after each one, float32 `[batch, samples, parameters]`.

        Args:
            levels: int32 `[batch, samples]`, the sample before the first one in front.
            conditions: `[batch, samples, condition_channels]` of the samples that are predicted.
        """
        return self._parameters(self.stack(self._entered(levels), conditions))

    def step(
        self, weights: StepWeights, levels: Any, condition: Any, time: Any, queues: Any
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The same for one sample, `[batch, parameters]`, and the queues; see `GatedStack.step`."""
        condition = tf.cast(condition, self.compute_dtype)
        skip, queues = self.stack.step(weights, self._entered(levels), condition, time, queues)
        return self._parameters(skip), queues

    def _entered(self, levels: tf.Tensor) -> tf.Tensor:
        x = self.value(self.distribution.values(levels)[..., None])
        return x if self.embedding is None else x + self.embedding(levels)

    def _parameters(self, skip: tf.Tensor) -> tf.Tensor:
        return self.head(self.hidden(tf.nn.relu(skip)))
