"""Whether the last thing that a player or a decoder does to its outputs fits what they are for."""

from __future__ import annotations

import math

import keras

from keras_transgen.training.last_activation import last_activations, output_bounds
from keras_transgen.training.loading import refuse_or_tell

# The values that come out of an activation.
_RANGES = {
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "sparse_sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "sparsemax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "relu6": (0.0, 6.0),
    "relu": (0.0, math.inf),
    "softplus": (0.0, math.inf),
    "exponential": (0.0, math.inf),
}


def refuse_bounded_logits(network: keras.layers.Layer, name: str, why: str) -> None:
    """Refuse a network whose logits have passed an activation that bounds them.

    Args:
        network: A discriminator, or a decoder for a likelihood of logits; built.
        name: What the user calls it.
        why: Who applies what to the logits, for the message.

    Raises:
        ValueError: If its first output ends in such an activation.
    """
    found = last_activations(network)[0]
    bounds = next(iter(output_bounds(network)), None)
    if found not in _RANGES and bounds and bounds[0] >= -1.0 and bounds[1] <= 1.0:
        found = f"values in [{bounds[0]:g}, {bounds[1]:g}]"
    if found in _RANGES or (found or "").startswith("values"):
        refuse_or_tell(
            f"The {name} must give logits, not probabilities or other bounded values: {why}. Leave "
            f"the last activation out (activation=None). Received: a {name} that ends in {found}"
        )


def refuse_other_range(
    network: keras.layers.Layer, name: str, value_range: tuple[float, float] | None
) -> None:
    """Refuse a generator whose last activation cannot make what the examples are.

    Args:
        network: The generator; built.
        name: What the user calls it.
        value_range: Of the examples; `None` for numbers without bounds, which says nothing.

    Raises:
        ValueError: If the activation's range is another one.
    """
    if value_range is None:
        return
    found = last_activations(network)[0]
    bounds = next(iter(output_bounds(network)), None)
    if found in _RANGES:
        low, high = _RANGES[found]
        fits = low == value_range[0] and (high == value_range[1] or high > 1.0)
    elif bounds and math.isfinite(bounds[0]) and math.isfinite(bounds[1]):
        low, high = bounds
        found = "something else"
        size = value_range[1] - value_range[0]
        reaches = low <= value_range[0] + 0.01 * size and high >= value_range[1] - 0.01 * size
        fits = reaches and high - low <= 2.0 * size
    else:
        return
    if not fits:
        refuse_or_tell(
            f"The examples lie in value_range={tuple(value_range)}, and a {name} that ends in "
            f"{found} makes values in [{low:g}, {high:g}]. Give it another last activation, or the "
            f"model the value_range that it makes. Received: a {name} that ends in {found}"
        )
