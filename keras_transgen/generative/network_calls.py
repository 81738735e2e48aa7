"""A network that was handed in, called for the first time: what it refuses is told by its name."""

from __future__ import annotations

import re
from typing import Any

import keras

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def called(network: Any, inputs: Any, name: str) -> Any:
    """A network's symbolic outputs, or an error that names it.

    Args:
        network: To be called, and so built.
        inputs: Symbolic inputs.
        name: What the user calls it.

    Raises:
        ValueError: If it refuses the inputs.
    """
    try:
        return network(inputs)
    except (ValueError, TypeError) as error:
        shapes = [tuple(each.shape) for each in keras.tree.flatten(inputs)]
        raise ValueError(
            f"The {name} must take inputs of shape {shapes}. Received: a {name} that refuses them "
            f"({_reason(error)})"
        ) from error


def _reason(error: Exception) -> str:
    """The line of Keras' message that says why, without its colours."""
    lines = [line.strip() for line in _COLOUR.sub("", str(error)).splitlines()]
    telling = [line for line in lines if line and not line.startswith("Exception encountered")]
    return f"{(telling or lines or [''])[0]:.300}"
