"""Which step is compiled by XLA, and where the compiled part begins and ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

_CONVOLUTIONS = """
    Conv1D Conv2D Conv3D Conv1DTranspose Conv2DTranspose Conv3DTranspose DepthwiseConv1D
    DepthwiseConv2D SeparableConv1D SeparableConv2D
"""
CONVOLUTIONS = tuple(getattr(keras.layers, name) for name in _CONVOLUTIONS.split())
# LSTM, GRU and the like are RNNs; a cell may also be stepped by a layer of one's own.
RECURRENT = (
    keras.layers.RNN,
    keras.layers.LSTMCell,
    keras.layers.GRUCell,
    keras.layers.SimpleRNNCell,
    keras.layers.StackedRNNCells,
)


def flat_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Every layer of a model, nested ones included, the model itself left out.

    Keras has no public walk through the layers that are attributes of a subclassed model
    (`model.layers` gives the first level only), so the private one is used here and nowhere else.
    """
    return list(model._flatten_layers(include_self=False, recursive=True))


def prefers_xla(model: keras.Model) -> bool:
    """Whether XLA is expected to make this model's training faster on the devices at hand.

    On a GPU compilation pays. On a CPU it pays for dense networks and costs for convolutions,
    whose hand-written kernels beat XLA's, and for recurrent networks, whose loop it makes slower;
    pretrained modules say so of themselves through an attribute `prefers_xla_on_cpu = False`.
    """
    layers = flat_layers(model)
    if not all(layer.supports_jit for layer in layers):
        return False
    if tf.config.list_physical_devices("GPU"):
        return True
    return not any(
        isinstance(layer, CONVOLUTIONS + RECURRENT)
        or not getattr(layer, "prefers_xla_on_cpu", True)
        for layer in layers
    )


def resolve_jit_compile(model: keras.Model, setting: bool | str) -> bool:
    """Turn the `jit_compile` argument of `compile` into a decision."""
    if setting == "auto":
        return prefers_xla(model)
    if isinstance(setting, bool):
        return setting
    raise ValueError(
        f"jit_compile must be True, False or 'auto'. Received: jit_compile={setting!r}"
    )


def compiled(function: Callable[..., Any], enabled: bool) -> Callable[..., Any]:
    """Wrap a function so that XLA compiles it, or return it unchanged.

    A new `tf.function` is made at every call, because one that two replicas share may hand the
    variables captured by the first replica's trace to the second.
    """
    if not enabled:
        return function
    return tf.function(function, jit_compile=True, autograph=False)
