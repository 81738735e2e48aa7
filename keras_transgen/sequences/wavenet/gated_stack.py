"""Gated dilated causal convolutions: whole waves at once, or one sample after the other."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf
from keras import ops


class StepWeights(NamedTuple):
    """The weights of all layers for one step.

    Attributes:
        known: Of what is known before the step, the past and the conditions,
            `[layers, residual_channels + condition_channels, 2 residual_channels]`.
        bias: `[layers, 1, 2 residual_channels]`.
        now: Of the layers' inputs, one matrix a layer.
        residual: Of what goes to the next layer, the same but for the last.
        skip: `[layers * residual_channels, skip_channels]`.
    """

    known: tf.Tensor
    bias: tf.Tensor
    now: list[tf.Tensor]
    residual: list[tf.Tensor]
    skip: tf.Tensor


class GatedStack(keras.layers.Layer):
    """Layers that hear a sample and the one `dilation` before it, with residual and skip outputs.

    Layer k computes, of its input x, the conditions h and the dilation d,

        z_t = tanh(a_t) * sigmoid(b_t),  (a, b)_t = P x_{t-d} + N x_t + C h_t + c
        x'_t = x_t + O z_t,  skip_t += S z_t

    Convolutions are products of matrices with shifted waves, and each kind of matrix is one weight
    for all layers: XLA makes fast code of that for CPUs and GPUs alike, in training, and a step of
    generation has one product for all that the layers know of the past.

    Args:
        dilations: Of the layers, in samples.
        residual_channels: Of what goes from layer to layer.
        skip_channels: Of what the layers give.
        condition_channels: Of the conditions.
        **kwargs: As in `keras.layers.Layer`.

    Reference:
        van den Oord et al., "WaveNet: A generative model for raw audio", 2016; Le Paine et al.,
        "Fast WaveNet generation algorithm", 2016 (the queues).
    """

    def __init__(
        self,
        dilations: tuple[int, ...],
        residual_channels: int,
        skip_channels: int,
        condition_channels: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dilations, self.residual_channels = tuple(dilations), residual_channels
        self.skip_channels, self.condition_channels = skip_channels, condition_channels
        layers, channels = len(self.dilations), residual_channels
        fan = 2 * channels + condition_channels
        self.past = self._weight("past", (layers, channels, 2 * channels), fan)
        self.now = self._weight("now", (layers, channels, 2 * channels), fan)
        self.condition = self._weight("condition", (layers, condition_channels, 2 * channels), fan)
        self.bias = self.add_weight(
            name="bias", shape=(layers, 2 * channels), initializer="zeros", dtype="float32"
        )
        # The last layer gives no more than its skip output.
        self.residual = self._weight("residual", (layers - 1, channels, channels), channels)
        self.skip = self._weight("skip", (layers, channels, skip_channels), channels * layers)
        self.built = True

    def _weight(self, name: str, shape: tuple[int, ...], fan: int) -> keras.Variable:
        normal = keras.initializers.RandomNormal(stddev=fan**-0.5)
        return self.add_weight(name=name, shape=shape, initializer=normal, dtype="float32")

    def call(self, x: Any, conditions: Any) -> tf.Tensor:
        """The sum of the skip outputs, `[batch, samples, skip_channels]`.

        Args:
            x: `[batch, samples, residual_channels]`; silence is before it.
            conditions: `[batch, samples, condition_channels]`.
        """
        past, now, condition, bias, residual, skip = map(tf.unstack, self._cast_weights())
        total: Any = 0.0
        for layer, dilation in enumerate(self.dilations):
            gates = tf.matmul(x, now[layer]) + tf.matmul(conditions, condition[layer]) + bias[layer]
            gates += tf.matmul(_delayed(x, dilation), past[layer])
            hidden = self._gated(gates)
            total += tf.matmul(hidden, skip[layer])
            if layer < len(residual):
                x += tf.matmul(hidden, residual[layer])
        return total

    def _cast_weights(self) -> list[tf.Tensor]:
        weights = (self.past, self.now, self.condition, self.bias, self.residual, self.skip)
        return [tf.cast(each.value, self.compute_dtype) for each in weights]

    def _gated(self, gates: tf.Tensor) -> tf.Tensor:
        channels = self.residual_channels
        return tf.tanh(gates[..., :channels]) * tf.sigmoid(gates[..., channels:])

    # One sample after the other

    def empty_queues(self, batch: Any) -> tf.Tensor:
        """What the layers heard before the first sample: nothing.

        Args:
            batch: Rows.

        Returns:
            `[largest dilation, layers, batch, residual_channels]`; row `t % largest` is sample t's.
        """
        shape = [max(self.dilations), len(self.dilations), batch, self.residual_channels]
        return tf.zeros(shape, self.compute_dtype)

    def step_weights(self) -> StepWeights:
        """The weights as `step` wants them, for a loop to take them once."""
        past, now, condition, bias, residual, skip = self._cast_weights()
        return StepWeights(
            known=tf.concat([past, condition], axis=1),
            bias=bias[:, None],
            now=tf.unstack(now),
            residual=tf.unstack(residual),
            skip=tf.reshape(skip, [-1, self.skip_channels]),
        )

    def step(
        self, weights: StepWeights, x: tf.Tensor, condition: tf.Tensor, time: Any, queues: Any
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """What `call` gives of one more sample, and the queues after it.

        Args:
            weights: Of `step_weights`.
            x: `[batch, residual_channels]`.
            condition: `[batch, condition_channels]`.
            time: How many samples came before, int32 scalar.
            queues: Of `empty_queues`, or the last step.

        Returns:
            `[batch, skip_channels]`, and the queues.
        """
        layers, length = len(self.dilations), queues.shape[0]
        rows = (time - tf.constant(self.dilations)) % length
        heard = tf.gather_nd(queues, tf.stack([rows, tf.range(layers)], axis=1))
        told = tf.broadcast_to(condition[None], [layers, *condition.shape])
        known = tf.matmul(tf.concat([heard, told], axis=-1), weights.known) + weights.bias
        inputs, hidden = [], []
        for layer in range(layers):
            inputs.append(x)
            hidden.append(self._gated(known[layer] + tf.matmul(x, weights.now[layer])))
            if layer < layers - 1:
                x += tf.matmul(hidden[-1], weights.residual[layer])
        queues = ops.slice_update(queues, (time % length, 0, 0, 0), tf.stack(inputs)[None])
        return tf.matmul(tf.concat(hidden, axis=-1), weights.skip), queues

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "dilations": self.dilations,
            "residual_channels": self.residual_channels,
            "skip_channels": self.skip_channels,
            "condition_channels": self.condition_channels,
        }


def _delayed(x: tf.Tensor, samples: int) -> tf.Tensor:
    """Every sample's past, with silence before the first one."""
    return tf.pad(x, [[0, 0], [samples, 0], [0, 0]])[:, : tf.shape(x)[1]]
