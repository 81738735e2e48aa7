"""Layers whose kernel has spectral norm one, computed from one that an optimizer moves freely."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from keras_transgen.training.config_from_file import Nested, arguments_from_file

_KERNELS = ("kernel", "embeddings")
_SMALLEST = 1e-12


@keras.saving.register_keras_serializable(package="keras_transgen")
class SpectralNormalization(keras.layers.Wrapper):
    """Computes as its layer with the kernel `W / sigma(W)`, of which W trains.

    The largest singular value sigma of the kernel as a matrix is found by power iteration, a step a
    training pass, in float32. Only the iteration's vector is assigned: the kernel is what the
    optimizer made of it, gradients flow through sigma, and where the layer is frozen
    (`trainable = False`) nothing moves. Keras' layer of this name assigns the normalized kernel to
    the kernel in each training pass, rounded to half precision under a mixed policy, frozen or not.

    Args:
        layer: A layer with a `kernel` (dense, a convolution, transposed or not) or with
            `embeddings`.
        power_iterations: Steps of the power iteration a training pass. Defaults to 1.
        **kwargs: Passed to `keras.layers.Wrapper`.

    Raises:
        ValueError: If the layer has neither, once it is built; if there is no step.

    Example:
        ```python
        import keras
        from keras_transgen.generative.networks.spectral_normalization import SpectralNormalization

        layer = SpectralNormalization(keras.layers.Dense(3))
        assert layer(keras.ops.ones((2, 4)), training=True).shape == (2, 3)
        ```

    Reference:
        Miyato et al., Spectral normalization for generative adversarial networks, 2018.
    """

    def __init__(self, layer: keras.layers.Layer, power_iterations: int = 1, **kwargs: Any) -> None:
        super().__init__(layer, **{"dtype": layer.dtype_policy, **kwargs})
        if isinstance(power_iterations, bool) or power_iterations < 1:
            raise ValueError(
                "power_iterations must be a whole number from 1 up. "
                f"Received: power_iterations={power_iterations!r}"
            )
        self.power_iterations = int(power_iterations)

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        with keras.name_scope(self.name, caller=self):
            # Replicas hold equal kernels, and each writes its own copy, which a layer's own
            # `add_weight` does not offer.
            self.vector = keras.Variable(
                keras.initializers.RandomNormal(stddev=1.0)((1, self.kernel.shape[-1]), "float32"),
                dtype="float32",
                trainable=False,
                autocast=False,
                name="vector_u",
                synchronization="on_read",
                aggregation="only_first_replica",
            )
        self.built = True

    @property
    def kernel(self) -> keras.Variable:
        """The kernel that trains, `[..., outputs]`."""
        found = [each for each in self.layer.weights if each.name in _KERNELS]
        if len(found) != 1:
            raise ValueError(
                "SpectralNormalization wraps a layer with one kernel, or with embeddings. "
                f"Received: {type(self.layer).__name__} with the weights "
                f"{[each.name for each in self.layer.weights]}"
            )
        return found[0]

    def normalized_kernel(self, training: bool = False) -> tf.Tensor:
        """The kernel in force, float32.

        Args:
            training: Take further steps of the power iteration, and keep them where the layer
                trains.
        """
        moves = training and self.trainable and self.layer.trainable
        return spectrally_normalized(
            self.kernel, self.vector, self.power_iterations if moves else 0
        )

    def call(self, inputs: Any, training: bool = False) -> Any:
        kernel, normalized = self.kernel, self.normalized_kernel(training)
        # All weights are handed over: an outer scope's values (an average's, say) stay in force.
        values = [
            (weight, normalized if weight is kernel else keras.ops.add(weight, 0))
            for weight in self.layer.weights
        ]
        with keras.StatelessScope(state_mapping=values):
            return self.layer(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "power_iterations": self.power_iterations}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> SpectralNormalization:
        """Make the layer again from what `get_config` returned."""
        with keras.saving.custom_object_scope(custom_objects or {}):
            arguments = arguments_from_file(cls, config, layer=Nested(keras.layers.Layer))
        return cls(**arguments)


def spectrally_normalized(
    kernel: keras.Variable, vector: keras.Variable, iterations: int
) -> tf.Tensor:
    """A kernel divided by its largest singular value as a matrix `[all but the last, last]`.

    Args:
        kernel: Variable `[..., outputs]`.
        vector: Variable `[1, outputs]`, near the right singular vector; assigned if there are
            iterations.
        iterations: Steps of the power iteration to take.

    Returns:
        Float32, of the kernel's shape.
    """
    value = tf.cast(tf.convert_to_tensor(kernel.value), tf.float32)
    shape = tuple(kernel.shape)
    matrix = tf.reshape(value, [math.prod(shape[:-1]), shape[-1]])
    fixed = tf.stop_gradient(matrix)
    right = tf.convert_to_tensor(vector.value)
    left = _unit(tf.matmul(right, fixed, transpose_b=True))
    for _ in range(iterations):
        right = _unit(tf.matmul(left, fixed))
        left = _unit(tf.matmul(right, fixed, transpose_b=True))
    if iterations:
        vector.assign(right)
    largest = tf.matmul(tf.matmul(left, matrix), right, transpose_b=True)
    return value / tf.maximum(largest[0, 0], _SMALLEST)


def _unit(vector: tf.Tensor) -> tf.Tensor:
    return vector / tf.maximum(tf.norm(vector), _SMALLEST)
