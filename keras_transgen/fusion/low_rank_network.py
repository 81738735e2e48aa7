"""A frozen network with trainable low-rank additions to all of its kernels."""

from __future__ import annotations

from typing import Any

import keras

from keras_transgen.training.compilation import flat_layers
from keras_transgen.training.config_from_file import Nested, arguments_from_file
from keras_transgen.training.counts import check_count
from keras_transgen.training.trainable_flags import KeepsFrozen
from keras_transgen.transfer.deltas.targets import Target, matrix_shape

_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)


@keras.saving.register_keras_serializable(package="keras_transgen")
class LowRankNetwork(KeepsFrozen, keras.layers.Wrapper):
    """Computes as its network with kernels `W + A B`, of which only A and B train.

    The kernels are those of dense layers, of attention and of convolutions, wherever in the network
    they are, but for depthwise ones. A starts at random (He, uniform) and B at zero, so that
    nothing changes at first. A kernel is taken as the matrix that `transfer.deltas.LoRA` takes it
    for, and the rank is lower where that has fewer.

    `LowRank` does the same to one layer, which can be put in its place; layers within others, such
    as the projections of attention, cannot.

    Args:
        layer: The network, which is frozen.
        rank: Columns of each A. Defaults to 8.

    Raises:
        ValueError: If this is no network, it has no kernel, or the rank is no whole number from 1
            up.

    Reference:
        Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, 2021.
    """

    frozen_parts = ("layer",)

    def __init__(self, layer: keras.Model, rank: int = 8, **kwargs: Any) -> None:
        if not isinstance(layer, keras.Model):
            raise ValueError(
                "LowRankNetwork wraps a network, a Keras model. "
                f"Received: layer of type {type(layer).__name__}"
            )
        check_count("rank", rank)
        # Inputs go on as they are: times in half precision would be too coarse. Sums are float32.
        super().__init__(layer, **{**kwargs, "dtype": "float32", "autocast": False})
        self.rank = rank
        self.layer.trainable = False

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        # Again, since building may have made its variables.
        self.layer.trainable = False
        places = kernels_of(self.layer)
        if not places:
            raise ValueError(
                "Low-rank additions are to the kernels of dense layers, attention and "
                "convolutions, and this network has none. "
                f"Received: weights {[weight.path for weight in self.layer.weights][:12]}"
            )
        self.places = places
        self.factors = []
        for place in places:
            rows, columns = matrix_shape(Target(place, self.layer.weights[place]))
            rank = min(self.rank, rows, columns)
            self.factors.append(
                (
                    self.add_weight(
                        name=f"down_{place}", shape=(rows, rank), initializer="he_uniform"
                    ),
                    self.add_weight(name=f"up_{place}", shape=(rank, columns), initializer="zeros"),
                )
            )
        self.built = True

    def values(self) -> list[Any]:
        """The values in force of the network's weights, in their order: kernels are `W + A B`."""
        # All weights are handed over: an outer scope's values (an average's, say) stay in force.
        values = [keras.ops.add(weight, 0) for weight in self.layer.weights]
        for place, (down, up) in zip(self.places, self.factors):
            change = keras.ops.matmul(down, up)
            values[place] += keras.ops.reshape(change, values[place].shape)
        return values

    def call(self, inputs: Any) -> Any:
        mapping = list(zip(self.layer.weights, self.values()))
        with keras.StatelessScope(state_mapping=mapping) as scope:
            outputs = self.layer(inputs)
        # What dropout has drawn from moves on.
        for state in self.layer.non_trainable_variables:
            moved = scope.get_current_value(state)
            if moved is not None and all(state is not weight for weight in self.layer.weights):
                state.assign(moved)
        return outputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rank": self.rank}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> LowRankNetwork:
        """Make the layer again from what `get_config` returned."""
        with keras.saving.custom_object_scope(custom_objects or {}):
            arguments = arguments_from_file(cls, config, layer=Nested(keras.Model))
        return cls(**arguments)


def kernels_of(network: keras.Model) -> list[int]:
    """The places of the kernels among a network's weights, without depthwise ones."""
    kernels = {
        id(getattr(layer, "kernel", None))
        for layer in flat_layers(network)
        if not isinstance(layer, _DEPTHWISE)
    }
    return [place for place, weight in enumerate(network.weights) if id(weight) in kernels]
