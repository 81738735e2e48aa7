"""The layers by which time and condition enter a flow's network, alone left to train."""

from __future__ import annotations

import keras

from keras_transgen.generative.networks.adaptive_normalization import AdaptiveNormalization
from keras_transgen.generative.networks.conditioning import ConditionalNormalization
from keras_transgen.generative.networks.patch_transformer import ModulatedBlock
from keras_transgen.training.compilation import flat_layers

# Their parts that an embedding goes through.
_PARTS: dict[type, tuple[str, ...]] = {
    AdaptiveNormalization: ("modulation",),
    ModulatedBlock: ("modulation",),
    ConditionalNormalization: ("scale", "offset"),
}


def train_told_layers(network: keras.Model) -> None:
    """Freeze a flow's network but for what brings time and condition into it.

    These are the layers that see no example, and the maps from an embedding to scales and offsets
    within the package's normalizations and Transformer blocks.

    Args:
        network: From `[examples, time]`, or `[examples, time, condition]`; all of it trains.

    Raises:
        ValueError: If it is not functional, or has no such layer.
    """
    if getattr(network, "inputs", None) is None or len(network.inputs) < 2:
        raise ValueError(
            "method='conditioning' finds the layers that see no example, which a functional "
            "network of [examples, time, condition] shows. Use another method. "
            f"Received: network of type {type(network).__name__}"
        )
    told = [layer for layer in network.layers if layer.weights and _sees_no_example(layer, network)]
    told += [
        getattr(layer, part)
        for layer in flat_layers(network)
        for part in _PARTS.get(type(layer), ())
    ]
    if not told:
        raise ValueError(
            "method='conditioning' trains the layers by which time and condition enter the "
            "network, and this one has none. Use another method. "
            f"Received: layers {[type(layer).__name__ for layer in network.layers]}"
        )
    trains = {id(each) for layer in told for each in (layer, *flat_layers(layer))}
    for layer in network.layers:
        inner = flat_layers(layer)
        if id(layer) in trains or not any(id(each) in trains for each in inner):
            layer.trainable = id(layer) in trains
            continue
        for each in inner:
            if not flat_layers(each):
                each.trainable = id(each) in trains


def _sees_no_example(layer: keras.layers.Layer, network: keras.Model) -> bool:
    """Whether its output can be computed without the network's first input."""
    try:
        keras.Model(network.inputs[1:], layer.output)
    except (ValueError, AttributeError):
        # Not connected, or called more than once.
        return False
    return True
