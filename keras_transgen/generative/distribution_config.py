"""TFP distributions in a model's configuration, so that a prior of one's own is saved with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_transgen.training.config_from_file import FileConfigError, check_plain, shown

_KIND = "tfp_distribution"
# What TFP raises for parameters that do not fit a distribution.
_UNFIT = (
    TypeError,
    ValueError,
    AttributeError,
    IndexError,
    KeyError,
    NotImplementedError,
    OverflowError,
    tf.errors.OpError,
)
_DTYPES = ("bool", "float16", "float32", "float64", "int32", "int64")
# Whose constructors compute with their parameters and take no functions: what a file may name.
_COMPUTING = """
    BatchBroadcast BatchReshape Bernoulli Beta Blockwise Categorical Cauchy Chi Chi2
    ContinuousBernoulli Deterministic Dirichlet Empirical Exponential
    ExponentiallyModifiedGaussian Gamma GeneralizedNormal Gumbel HalfCauchy HalfNormal
    HalfStudentT Independent InverseGamma InverseGaussian Kumaraswamy Laplace LogNormal Logistic
    LogitNormal Mixture MixtureSameFamily Moyal MultivariateNormalDiag
    MultivariateNormalDiagPlusLowRank MultivariateNormalDiagPlusLowRankCovariance
    MultivariateNormalFullCovariance MultivariateNormalTriL MultivariateStudentTLinearOperator
    Normal NormalInverseGaussian OneHotCategorical Pareto Sample SinhArcsinh SphericalUniform
    StudentT Triangular TruncatedCauchy TruncatedNormal Uniform VonMises VonMisesFisher Weibull
"""
IN_FILES = frozenset(_COMPUTING.split())


def distribution_config(distribution: tfd.Distribution) -> dict[str, Any]:
    """The class of a distribution of `tfp.distributions` and its parameters, as JSON can hold them.

    Raises:
        ValueError: If a parameter is no number, array or such distribution, or the class is not
            TFP's own.
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
    if kind not in IN_FILES:
        raise ValueError(
            "Only these distributions of tfp.distributions can be saved with a model; make a Prior "
            f"of your own for others: {', '.join(sorted(IN_FILES))}. Received: {kind}"
        )
    return {_KIND: kind, "parameters": parameters}


def distribution_from_config(config: dict[str, Any]) -> tfd.Distribution:
    """The distribution that `distribution_config` described; a `ValueError` where it is no such."""
    kind = config.get(_KIND) if isinstance(config, dict) else None
    parameters = config.get("parameters") if isinstance(config, dict) else None
    if not isinstance(kind, str) or kind not in IN_FILES or not isinstance(parameters, dict):
        raise FileConfigError(
            f"A file gives a prior as one of {', '.join(sorted(IN_FILES))}; for another one make a "
            f"Prior of your own, and register it with Keras. Received: {shown(kind)}"
        )
    decoded = {name: _decoded(value, f"{kind}.{name}") for name, value in parameters.items()}
    try:
        return getattr(tfd, kind)(**decoded)
    except _UNFIT as error:
        raise FileConfigError(
            f"The parameters in the file are none of a {kind}. Ask the file's author for another. "
            f"Received: {shown(parameters)} ({type(error).__name__}: {error!s:.120})"
        ) from None


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
        encoded = {"array": array.tolist(), "dtype": array.dtype.name}
        if isinstance(value, tf.Variable):
            encoded["trainable"] = bool(value.trainable)
        return encoded
    raise ValueError(
        "A distribution's parameters must be numbers, arrays or distributions to be saved with a "
        f"model; make a Prior of your own for others. Received: {name} of type {type(value)}"
    )


def _decoded(value: Any, place: str) -> Any:
    if isinstance(value, list):
        return [_decoded(part, place) for part in value]
    if not isinstance(value, dict):
        check_plain(value, place)
        return value
    if _KIND in value:
        return distribution_from_config(value)
    if value.get("dtype") not in _DTYPES:
        raise FileConfigError(
            f"{place} must be of one of the types {', '.join(_DTYPES)}. "
            f"Received: dtype={shown(value.get('dtype'))}"
        )
    if "array" not in value:
        return tf.as_dtype(value["dtype"])
    trainable = value.get("trainable")
    if not isinstance(trainable, bool | None):
        raise FileConfigError(
            f"{place} must say by true or false whether it trains. Received: {shown(trainable)}"
        )
    try:
        array = np.array(value["array"], value["dtype"])
        return array if trainable is None else tf.Variable(array, trainable=trainable)
    except (TypeError, ValueError, OverflowError) as error:
        raise FileConfigError(
            f"{place} must be an array of numbers. Received: {shown(value['array'])} ({error})"
        ) from None
