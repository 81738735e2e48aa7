"""Networks of a flow: built by name for the shape of examples, or handed in and checked."""

from __future__ import annotations

import math
from typing import Any

import keras

from keras_transgen.generative.network_calls import called
from keras_transgen.generative.networks.flow_dense import flow_dense
from keras_transgen.generative.networks.flow_unet import flow_unet
from keras_transgen.generative.networks.patch_transformer import patch_transformer
from keras_transgen.training.last_activation import output_bounds
from keras_transgen.training.loading import refuse_or_tell
from keras_transgen.training.registry import Registry

# By name, a function `(example_shape, width=, embedding_dim=)` to a built model.
NETWORKS = Registry("network")
NETWORKS.register("dense")(flow_dense)
NETWORKS.register("unet")(flow_unet)
NETWORKS.register("patch_transformer")(patch_transformer)

_BY_RANK = {1: "dense", 2: "patch_transformer", 3: "unet"}


def default_network(
    name: str | None, example_shape: tuple[int, ...], width: int | None, embedding_dim: int | None
) -> keras.Model:
    """A network that is built for examples of a shape.

    Args:
        name: Of the kind; `None` for `"dense"` for vectors, `"patch_transformer"` for sequences and
            `"unet"` for images.
        example_shape: Of the examples.
        width: Its size; the kind's own by default.
        embedding_dim: Length of a condition's vector, or `None` without conditions.

    Raises:
        ValueError: If there is no such kind, or it is not for examples of this shape.
    """
    if name is None:
        name = _BY_RANK.get(len(example_shape))
        if name is None:
            raise ValueError(
                "Networks are built for vectors (features,), sequences (length, channels) and "
                "images (height, width, channels); hand in network= for other examples. "
                f"Received: example_shape={example_shape}"
            )
    make = NETWORKS.find(name, " or a Keras model")
    if name == "dense" and len(example_shape) != 1:
        raise ValueError(
            "network='dense' is for vectors (features,). Leave it out for images and sequences, or "
            f"flatten them. Received: example_shape={example_shape}"
        )
    options = {} if width is None else {"width": width}
    return make(example_shape, embedding_dim=embedding_dim, **options)


def check_network(
    network: keras.Model, example_shape: tuple[int, ...], embedding_dim: int | None
) -> None:
    """Call a network symbolically, and refuse one that is none of a flow's.

    Args:
        network: Built or not.
        example_shape: Of the examples.
        embedding_dim: Length of a condition's vector, or `None` without conditions.

    Raises:
        ValueError: If it does not take examples, times (and conditions), if what it gives is not of
            the examples' shape, or is bounded.
    """
    inputs = [keras.Input(example_shape), keras.Input(())]
    if embedding_dim is not None:
        inputs.append(keras.Input((embedding_dim,)))
    _check_known_shapes(network, example_shape)
    outputs = called(network, inputs, "network")
    shape = getattr(outputs, "shape", None)
    if shape is None or tuple(shape[1:]) != example_shape:
        taken = "[examples, time]" if embedding_dim is None else "[examples, time, condition]"
        raise ValueError(
            f"The network must map {taken} to values of the shape of examples, "
            f"[batch, {', '.join(map(str, example_shape))}]. "
            f"Received: a network with output of shape {shape if shape is not None else outputs}"
        )
    low, high = next(iter(output_bounds(network)), (-math.inf, math.inf))
    if math.isfinite(low) and math.isfinite(high) and low < high:
        refuse_or_tell(
            "Velocities and noise have no bounds: leave the network's last activation out "
            f"(activation=None). Received: a network whose values lie in [{low:g}, {high:g}]"
        )


def _check_known_shapes(network: keras.Model, example_shape: tuple[int, ...]) -> None:
    """Refuse a network whose output told the shape of examples, which it does not take."""
    ends = [getattr(network, name, None) or [] for name in ("inputs", "outputs")]
    if not all(ends):
        return
    shapes = [tuple(first.shape[1:]) for first, *_ in ends]
    if None not in shapes[0] and shapes[0] != shapes[1] == example_shape:
        raise ValueError(
            "The network must give values of the shape of the examples it takes first. "
            f"Received: a network from examples of shape {shapes[0]} to {shapes[1]}"
        )


def given_network(network: Any) -> bool:
    """Whether a network was handed in, rather than named.

    Raises:
        ValueError: If it is neither.
    """
    if network is None or isinstance(network, str):
        return False
    if not isinstance(network, keras.Model):
        raise ValueError(
            f"network must be one of {sorted(NETWORKS)}, a Keras model, or left out. "
            f"Received: network={network!r:.200}"
        )
    return True
