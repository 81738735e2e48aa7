"""TFP distributions in a model's configuration, so that a prior of one's own is saved with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

_KIND = "tfp_distribution"


def distribution_config(distribution: tfd.Distribution) -> dict[str, Any]:
    """The class of a TFP distribution and its parameters, as JSON can hold them.

    Args:
        distribution: A class of `tfp.distributions` whose parameters are numbers, arrays or such
            distributions.

    Returns:
        A dictionary for `distribution_from_config`.

    Raises:
        ValueError: If a parameter is something else, or the class is not TFP's own.
    """
    kind = type(distribution).__name__
    if getattr(tfd, kind, None) is not type(distribution):
        raise ValueError(
            "Only distributions of tfp.distributions can be saved with a model; make a Prior of "
            f"your own for others. Received: {type(distribution)}"
        )
    parameters = {
        name: _encoded(value, f"{kind}.{name}")
        for name, value in distribution.parameters.items()
        if value is not None
    }
    return {_KIND: kind, "parameters": parameters}


def distribution_from_config(config: dict[str, Any]) -> tfd.Distribution:
    """The distribution that `distribution_config` described."""
    kind = getattr(tfd, config[_KIND], None)
    if not (isinstance(kind, type) and issubclass(kind, tfd.Distribution)):
        raise ValueError(f"tfp.distributions has no such class. Received: {config[_KIND]!r}")
    return kind(**{name: _decoded(value) for name, value in config["parameters"].items()})


def _encoded(value: Any, name: str) -> Any:
    if isinstance(value, tfd.Distribution):
        return distribution_config(value)
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, tf.DType):
        return {"dtype": value.name}
    if isinstance(value, (list, tuple)):
        return [_encoded(part, name) for part in value]
    if isinstance(value, (np.ndarray, np.generic, tf.Tensor, tf.Variable)):
        array = np.asarray(value)
        return {"array": array.tolist(), "dtype": array.dtype.name}
    raise ValueError(
        "A distribution's parameters must be numbers, arrays or distributions to be saved with a "
        f"model; make a Prior of your own for others. Received: {name} of type {type(value)}"
    )


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(part) for part in value]
    if not isinstance(value, dict):
        return value
    if _KIND in value:
        return distribution_from_config(value)
    if "array" not in value:
        return tf.as_dtype(value["dtype"])
    return np.array(value["array"], value["dtype"])
