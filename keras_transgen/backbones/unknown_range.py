"""Networks for images of which nobody knows the range of values that they were trained on."""

from __future__ import annotations

import warnings
import weakref
from typing import Any

import keras

from keras_transgen.backbones.first_rescaling import Range, read_value_range
from keras_transgen.backbones.input_contract import takes_images
from keras_transgen.backbones.keras_model import KerasBackbone
from keras_transgen.training.loading import loading_a_file

# Whose user was told already.
_TOLD: weakref.WeakSet[Any] = weakref.WeakSet()


def known_range(network: Any) -> Range | None:
    """The range of the values that a network takes: what its contract says, or what it begins with.

    Args:
        network: A backbone, a Keras model, or anything else that is called with images.
    """
    contract = getattr(network, "input_contract", None)
    if contract is None and isinstance(network, keras.Model) and network.built:
        return read_value_range(network)
    return getattr(contract, "value_range", None)


def has_unknown_range(network: Any) -> bool:
    """Whether a network is a Keras network for images whose range of values nobody knows.

    Args:
        network: As in `known_range`. Of a module, and of a plain layer or function, there is none
            to be known.
    """
    if known_range(network) is not None:
        return False
    if isinstance(network, KerasBackbone):
        return takes_images(network.input_contract)
    # What has no weights was not trained on anything.
    shape = getattr(network, "input_shape", None) if isinstance(network, keras.Model) else None
    is_image = isinstance(shape, tuple) and len(shape) == 4 and shape[-1] in (1, 3)
    return is_image and bool(network.weights)


def warn_of_unknown_range(network: Any, advice: str) -> None:
    """Say once of a network that nobody knows the range of its values; nothing in loading a file.

    Args:
        network: As in `known_range`.
        advice: How to say it, between a comma and a full stop.
    """
    if loading_a_file() or network in _TOLD or not has_unknown_range(network):
        return
    _TOLD.add(network)
    warnings.warn(
        "Nobody knows which range of values this network was trained on, and in another one its "
        f"features are poor. Say it, {advice}. Received: images for the backbone {network.name!r}",
        stacklevel=4,
    )
