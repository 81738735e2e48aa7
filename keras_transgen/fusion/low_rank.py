"""A frozen layer with a trainable low-rank addition to its kernel."""

from __future__ import annotations

import math
from typing import Any

import keras

from keras_transgen.training.config_from_file import Nested, arguments_from_file
from keras_transgen.training.counts import check_count
from keras_transgen.training.trainable_flags import KeepsFrozen

# Layers with one dense kernel that a product of two thin matrices can change.
ADAPTABLE = (
    keras.layers.Dense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)


@keras.saving.register_keras_serializable(package="keras_transgen")
class LowRank(KeepsFrozen, keras.layers.Wrapper):
    """Computes as its layer with the kernel `W + A B`, of which only A and B train.

    The layer is a dense one or a convolution, transposed or not. A starts at random (He, uniform)
    and B at zero, so that nothing changes at first. The kernel is taken as a matrix
    `[all axes but the last, the last axis]`; the rank is lower where the kernel has fewer.

    The deltas of `transfer` assign parameters and have a training step of their own; an adversarial
    step differentiates by variables, so here the sum is part of the layer. Keras' `enable_lora`
    does not know transposed convolutions, of which generators are made, and a file written with it
    cannot be trained further (both matrices come back as zeros).

    Reference:
        Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, 2021.
    """

    frozen_parts = ("layer",)

    def __init__(self, layer: keras.layers.Layer, rank: int = 8, **kwargs: Any) -> None:
        if not isinstance(layer, ADAPTABLE):
            raise ValueError(
                "LowRank wraps a dense layer or a convolution. "
                f"Received: layer of type {type(layer).__name__}"
            )
        check_count("rank", rank)
        super().__init__(layer, **{"dtype": layer.dtype_policy, **kwargs})
        self.rank = int(rank)
        self.layer.trainable = False

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        # Again, since building made its variables.
        self.layer.trainable = False
        shape = self.layer.kernel.shape
        rows, columns = math.prod(shape[:-1]), shape[-1]
        rank = min(self.rank, rows, columns)
        self.down = self.add_weight(name="down", shape=(rows, rank), initializer="he_uniform")
        self.up = self.add_weight(name="up", shape=(rank, columns), initializer="zeros")
        self.built = True

    def kernel(self) -> Any:
        """The kernel in force, `W + A B`."""
        change = keras.ops.matmul(self.down, self.up)
        base = self.layer.kernel
        return keras.ops.add(base, keras.ops.reshape(change, base.shape))

    def call(self, inputs: Any) -> Any:
        # All weights are handed over: an outer scope's values (an average's, say) stay in force.
        values = [
            (weight, self.kernel() if weight is self.layer.kernel else keras.ops.add(weight, 0))
            for weight in self.layer.weights
        ]
        with keras.StatelessScope(state_mapping=values):
            return self.layer(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rank": self.rank}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> LowRank:
        with keras.saving.custom_object_scope(custom_objects or {}):
            arguments = arguments_from_file(cls, config, layer=Nested(keras.layers.Layer))
        return cls(**arguments)
