"""Layers whose kernel has a direction that trains and a length of its own, a unit each."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.training.config_from_file import Nested, arguments_from_file

_SMALLEST = 1e-6


@keras.saving.register_keras_serializable(package="keras_transgen")
class WeightNormalization(keras.layers.Wrapper):
    """Computes as its layer with the kernel `gain * V / |V|`, of which V trains.

    The norm is over all axes but the last, that of the units, in float32. Nothing couples the
    examples of a batch, unlike batch normalization, so that examples of several kinds share a pass.

    Args:
        layer: A layer with a `kernel` `[..., units]` and a bias: dense or a convolution.
        trains_gain: Whether the gains train. Defaults to `False`: they stay as `start_from` found
            them.
        **kwargs: Passed to `keras.layers.Wrapper`.

    Raises:
        ValueError: If the layer has no kernel or no bias, once it is built.

    Example:
        ```python
        import keras
        from keras_transgen.generative.networks.weight_normalization import WeightNormalization

        layer = WeightNormalization(keras.layers.Dense(3))
        outputs = layer(keras.random.normal((8, 4), seed=0))
        assert outputs.shape == (8, 3)
        ```

    Reference:
        Salimans and Kingma, Weight normalization: a simple reparameterization to accelerate
        training of deep neural networks, 2016.
    """

    def __init__(self, layer: keras.layers.Layer, trains_gain: bool = False, **kwargs: Any) -> None:
        super().__init__(layer, **{"dtype": layer.dtype_policy, **kwargs})
        self.trains_gain = bool(trains_gain)

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        names = sorted(weight.name for weight in self.layer.weights)
        if names != ["bias", "kernel"]:
            raise ValueError(
                "WeightNormalization wraps a layer with a kernel and a bias. "
                f"Received: {type(self.layer).__name__} with the weights {names}"
            )
        self.gain = self.add_weight(
            shape=(self.layer.kernel.shape[-1],),
            initializer="ones",
            dtype="float32",
            autocast=False,
            trainable=self.trains_gain,
            name="gain",
        )
        self.built = True

    def normalized_kernel(self) -> tf.Tensor:
        """The kernel in force, float32."""
        value = tf.cast(tf.convert_to_tensor(self.layer.kernel.value), tf.float32)
        axes = list(range(len(value.shape) - 1))
        squares = tf.reduce_sum(tf.square(value), axis=axes)
        return value * (tf.convert_to_tensor(self.gain.value) * tf.math.rsqrt(squares + _SMALLEST))

    def call(self, inputs: Any) -> Any:
        kernel, normalized = self.layer.kernel, self.normalized_kernel()
        # All weights are handed over: an outer scope's values (an average's, say) stay in force.
        values = [
            (weight, normalized if weight is kernel else keras.ops.add(weight, 0))
            for weight in self.layer.weights
        ]
        with keras.StatelessScope(state_mapping=values):
            return self.layer(inputs)

    def start_from(self, inputs: Any) -> Any:
        """Set gains and biases so that each unit has mean zero and deviation one on a batch.

        Args:
            inputs: A batch, `[batch, ...]`.

        Returns:
            The layer's outputs for it, standardised. A unit without any deviation is only moved.
        """
        outputs = keras.ops.convert_to_numpy(keras.ops.cast(self(inputs), "float32"))
        axes = tuple(range(outputs.ndim - 1))
        deviation = outputs.std(axis=axes)
        deviation = np.where(deviation > _SMALLEST, deviation, 1.0)
        bias = keras.ops.convert_to_numpy(self.layer.bias)
        gain = keras.ops.convert_to_numpy(self.gain)
        self.gain.assign(gain / deviation)
        self.layer.bias.assign((bias - outputs.mean(axis=axes)) / deviation)
        return self(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "trains_gain": self.trains_gain}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> WeightNormalization:
        """Make the layer again from what `get_config` returned."""
        with keras.saving.custom_object_scope(custom_objects or {}):
            arguments = arguments_from_file(cls, config, layer=Nested(keras.layers.Layer))
        return cls(**arguments)


def has_started(layers: list[keras.layers.Layer]) -> bool:
    """Whether gains and biases of weight-normalised layers are others than they were built with."""
    for layer in layers:
        if isinstance(layer, WeightNormalization):
            gain, bias = map(keras.ops.convert_to_numpy, (layer.gain, layer.layer.bias))
            if (gain != 1.0).any() or bias.any():
                return True
    return False


def start_from_data(layers: list[keras.layers.Layer], examples: Any) -> Any:
    """Start a chain of layers from a batch: see `WeightNormalization.start_from`.

    Args:
        layers: One after the other, with their noise.
        examples: `[batch, ...]`.

    Returns:
        The last layer's outputs.
    """
    for layer in layers:
        if isinstance(layer, WeightNormalization):
            examples = layer.start_from(examples)
        elif not isinstance(layer, keras.layers.InputLayer):
            examples = layer(examples, training=True)
    return examples
