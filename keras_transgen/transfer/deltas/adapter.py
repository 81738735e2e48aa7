"""Bottleneck adapters: small layers inserted behind the layers of a frozen network."""

from __future__ import annotations

import types
import zlib
from collections.abc import Sequence
from typing import Any

import keras

from keras_transgen.backbones import KerasBackbone
from keras_transgen.training.config_from_file import arguments_from_file
from keras_transgen.transfer.deltas.delta import (
    Delta,
    refuse_adapting,
    register_delta,
)
from keras_transgen.transfer.deltas.targets import search_for


@keras.saving.register_keras_serializable(package="keras_transgen")
class BottleneckAdapter(keras.layers.Layer):
    """x + up(activation(down(x))) on the last axis, where up starts at zero.

    Args:
        width: Size of the bottleneck.
        activation: Keras activation within it. Defaults to `"gelu"`.
        seed: Of the first layer's start. `None` draws one by Keras' own generator.
        **kwargs: `name` and `dtype`, as in `keras.layers.Layer`.

    Example:
        ```python
        import numpy as np
        from keras_transgen.transfer.deltas.adapter import BottleneckAdapter

        x = np.ones((2, 4, 4, 3), "float32")
        assert (BottleneckAdapter(2)(x) == x).numpy().all()
        ```

    Reference:
        Houlsby et al., Parameter-Efficient Transfer Learning for NLP, 2019.
    """

    def __init__(
        self, width: int, activation: str = "gelu", seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.width = width
        self.activation = activation
        self.seed = seed
        self.down = keras.layers.Dense(
            width,
            activation,
            kernel_initializer=keras.initializers.GlorotUniform(seed),
            dtype=self.dtype_policy,
            name="down",
        )

    def build(self, input_shape: Any) -> None:
        """Create the two dense layers for the inputs' last axis."""
        size = input_shape[-1]
        if size is None:
            raise ValueError(
                "An adapter needs features whose last axis is known. "
                f"Received: features of shape {tuple(input_shape)}"
            )
        self.down.build(input_shape)
        self.up = keras.layers.Dense(
            size, kernel_initializer="zeros", dtype=self.dtype_policy, name="up"
        )
        self.up.build((*input_shape[:-1], self.width))

    def call(self, inputs: Any) -> Any:
        """Adapt features `[batch, ..., size]`."""
        change = self.up(self.down(keras.ops.cast(inputs, self.compute_dtype)))
        return inputs + keras.ops.cast(change, inputs.dtype)

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        """Shape and dtype of the inputs."""
        return keras.KerasTensor(inputs.shape, inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        """Configuration to rebuild the layer from."""
        own = {"width": self.width, "activation": self.activation, "seed": self.seed}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> BottleneckAdapter:
        """Make the layer again from what `get_config` returned."""
        return cls(**arguments_from_file(cls, config))


@register_delta("adapter")
class Adapter(Delta):
    """Bottleneck adapters between the layers of a Keras network, or after a SavedModel's output.

    A functional or Sequential network is called anew, layer by layer with the very same layers,
    and an adapter is put behind each target. The graph of a SavedModel cannot be opened: there the
    adapter stands behind the output. An adapter is not linear, so it cannot be merged.

    Args:
        backbone: The backbone, at its base.
        name: Name of the delta.
        rank: Width of the bottlenecks. Defaults to 8.
        targets: Regular expression for the names of layers behind which an adapter is put, or
            several. `None`: behind every residual sum (`keras.layers.Add`); in a network without
            one behind every dense and convolution layer.
        activation: Keras activation in the bottleneck. Defaults to `"gelu"`.
        seed: Of the first layers' start; by default that of `StructureTransfer`. `None` draws one
            by Keras' own generator.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.transfer.deltas import Adapter

        delta = Adapter(ktg.load_backbone("digits"), rank=4, targets="_pool$")
        assert len(delta.adapters) == 2
        ```

    Reference:
        Houlsby et al., Parameter-Efficient Transfer Learning for NLP, 2019.
    """

    mergeable = False

    def __init__(
        self,
        backbone: Any,
        name: str = "adapter",
        rank: int = 8,
        targets: str | Sequence[str] | None = None,
        activation: str = "gelu",
        seed: int | None = None,
    ) -> None:
        if isinstance(rank, bool) or not isinstance(rank, int) or rank < 1:
            raise ValueError(f"rank must be a whole number from 1 up. Received: rank={rank!r}")
        refuse_adapting(backbone, self.method)
        super().__init__(backbone, name)
        self.rank = rank
        self.target_patterns = targets
        self.activation = activation
        self.seed = seed
        self.adapters: list[BottleneckAdapter] = []
        # In a namespace, which Keras does not look into: the adapted network shares the backbone's
        # layers, which are not the delta's.
        self._links = types.SimpleNamespace(adapted=None)
        if _is_graph(backbone):
            self._links.adapted = self._insert(backbone)
        else:
            self._stand_behind(backbone)
        for adapter in self.adapters:
            adapter.trainable = False

    def _insert(self, backbone: KerasBackbone) -> KerasBackbone:
        names = _target_layers(backbone.network, self.target_patterns)
        by_name: dict[str, BottleneckAdapter] = {}

        def call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
            outputs = layer(*args, **kwargs)
            if layer.name not in names:
                return outputs
            if layer.name not in by_name:
                by_name[layer.name] = self._adapter(layer.name, layer.dtype_policy)
            return keras.tree.map_structure(by_name[layer.name], outputs)

        network = _called_anew(backbone.network, call)
        adapted = KerasBackbone(network, trainable=False, dtype=backbone.dtype_policy)
        self.adapters = list(by_name.values())
        return adapted

    def _stand_behind(self, backbone: Any) -> None:
        if self.target_patterns is not None:
            raise ValueError(
                "The layers of this backbone cannot be opened, so the adapter stands behind its "
                f"output: leave targets away. Received: targets={self.target_patterns!r}, backbone "
                f"{backbone.name!r} of class {type(backbone).__name__}"
            )
        inputs = keras.tree.map_structure(
            lambda each: keras.KerasTensor((None, *each.shape[1:]), each.dtype or "float32"),
            backbone.input_contract,
        )
        outputs = keras.tree.flatten(backbone.compute_output_spec(inputs))
        self.adapters = [
            self._adapter(f"output_{place}", backbone.dtype_policy)
            for place, _ in enumerate(outputs)
        ]
        for adapter, output in zip(self.adapters, outputs, strict=True):
            adapter.build(output.shape)

    def _adapter(self, place: str, dtype: Any) -> BottleneckAdapter:
        # Slashes cannot be part of a layer's name, though Keras' own applications have some.
        name = f"{self.name}_{place}".replace("/", "_")
        seed = self.seed if self.seed is None else self.seed + zlib.crc32(place.encode())
        return BottleneckAdapter(self.rank, self.activation, seed, dtype=dtype, name=name)

    def features(self, backbone: Any, inputs: Any, training: bool | None) -> Any:
        """The backbone's output with the adapters; the base computes in inference mode."""
        if self._links.adapted is not None:
            return self._links.adapted(inputs, training=False)
        outputs = backbone(inputs, training=False)
        adapted = [
            adapter(output)
            for adapter, output in zip(self.adapters, keras.tree.flatten(outputs), strict=True)
        ]
        return keras.tree.pack_sequence_as(outputs, adapted)

    def arguments(self) -> dict[str, Any]:
        """The arguments to make the delta again from."""
        return {
            "rank": self.rank,
            "targets": self.target_patterns,
            "activation": self.activation,
            "seed": self.seed,
        }

    def named_variables(self) -> list[tuple[str, keras.Variable]]:
        """The adapters' weights, named by the adapter's place and their own."""
        return [
            (f"{place}.{number}", variable)
            for place, adapter in enumerate(self.adapters)
            for number, variable in enumerate(adapter.weights)
        ]


def _is_graph(backbone: Any) -> bool:
    return (
        isinstance(backbone, KerasBackbone)
        and getattr(backbone.network, "inputs", None) is not None
    )


def _called_anew(network: keras.Model, call: Any) -> keras.Model:
    """The same layers in a new graph, each called through `call`."""
    if not isinstance(network, keras.Sequential):
        return keras.models.clone_model(
            network, clone_function=lambda layer: layer, call_function=call
        )
    first = network.inputs[0]
    inputs = keras.Input(batch_shape=first.shape, dtype=first.dtype)
    outputs = inputs
    for layer in network.layers:
        outputs = call(layer, outputs)
    return keras.Model(inputs, outputs, name=network.name)


def _target_layers(network: keras.Model, patterns: str | Sequence[str] | None) -> set[str]:
    layers = [each for each in network.layers if not isinstance(each, keras.layers.InputLayer)]
    names = [layer.name for layer in layers]
    if patterns is None:
        sums = {layer.name for layer in layers if isinstance(layer, keras.layers.Add)}
        return sums or _with_kernels(layers)
    chosen: set[str] = set()
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        matches = search_for(pattern)
        matching = {name for name in names if matches(name)}
        if not matching:
            raise ValueError(
                "The target pattern must match the name of at least one layer of the network: "
                f"{', '.join(names[:12])}{' and more' if len(names) > 12 else ''}. "
                f"Received: targets={pattern!r}"
            )
        chosen |= matching
    return chosen


def _with_kernels(layers: Sequence[keras.layers.Layer]) -> set[str]:
    chosen = {
        layer.name
        for layer in layers
        if any(len(weight.shape) >= 2 for weight in layer.trainable_weights or layer.weights)
    }
    if not chosen:
        raise ValueError(
            "method='adapter' stands behind dense and convolution layers, and this network has "
            f"none. Name layers by targets=. Received: layers {[layer.name for layer in layers]}"
        )
    return chosen
