"""Priors p(z): the standard normal, a learned mixture, VampPrior, and any TFP distribution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_transgen.backbones.adopted_variable import AdoptedVariable
from keras_transgen.generative.distribution_config import (
    distribution_config,
    distribution_from_config,
)
from keras_transgen.generative.prior_support import refuse_partial_support
from keras_transgen.training.config_from_file import arguments_from_file
from keras_transgen.training.registry import Registry

PRIORS = Registry("prior", lambda: Prior)

_SMALLEST_SCALE = 1e-3
# softplus(_UNIT) = 1
_UNIT = 0.541324854612918


class Prior(keras.layers.Layer):
    """A distribution over latent vectors, with or without variables of its own.

    A subclass implements `distribution`, and `create_variables` if it learns something.
    """

    def prepare(self, latent_dim: int, example_shape: tuple[int, ...], bounded: bool) -> None:
        """Learn the shapes and create variables, if there are any.

        Args:
            latent_dim: Number of latent units.
            example_shape: Shape of one example.
            bounded: Whether examples lie in [0, 1].
        """
        self.latent_dim = latent_dim
        self.example_shape = example_shape
        self.bounded = bounded
        if not self.built:
            self.create_variables()
            self.built = True

    def create_variables(self) -> None:
        """Create variables of the prior's own; none by default."""

    def distribution(self, encode: Callable[[tf.Tensor], Any]) -> tfd.Distribution:
        """The prior.

        Args:
            encode: Gives q(z|x), a `tfd.MultivariateNormalDiag`, for a batch of examples.

        Returns:
            TFP distribution with event shape `[latent_dim]`.
        """
        raise NotImplementedError


@PRIORS.register("standard_normal")
@keras.saving.register_keras_serializable(package="keras_transgen")
class StandardNormal(Prior):
    """The normal distribution N(0, I).

    Reference:
        Kingma and Welling, "Auto-Encoding Variational Bayes", 2013.
    """

    def distribution(self, encode: Callable[[tf.Tensor], Any]) -> tfd.Distribution:
        return tfd.MultivariateNormalDiag(tf.zeros(self.latent_dim), tf.ones(self.latent_dim))


@PRIORS.register("mixture")
@keras.saving.register_keras_serializable(package="keras_transgen")
class Mixture(Prior):
    """A mixture of diagonal normals whose weights, means and scales are learned.

        p(z) = sum over k of w_k N(z; m_k, diag(s_k^2))

    Args:
        num_components: Number of components. Defaults to 20.

    Raises:
        ValueError: If there is no component.

    Reference:
        Dilokthanakul et al., "Deep Unsupervised Clustering with Gaussian Mixture Variational
        Autoencoders", 2016; Tomczak and Welling, 2018 (as "mixture of Gaussians").
    """

    def __init__(self, num_components: int = 20, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_components = _checked_count(num_components)

    def create_variables(self) -> None:
        shape = (self.num_components, self.latent_dim)
        self.logits = self.add_weight(
            name="logits", shape=shape[:1], initializer="zeros", dtype="float32"
        )
        self.means = self.add_weight(
            name="means",
            shape=shape,
            initializer=keras.initializers.RandomNormal(stddev=1.0),
            dtype="float32",
        )
        self.raw_scales = self.add_weight(
            name="raw_scales",
            shape=shape,
            initializer=keras.initializers.Constant(_UNIT),
            dtype="float32",
        )

    def distribution(self, encode: Callable[[tf.Tensor], Any]) -> tfd.Distribution:
        scales = tf.nn.softplus(tf.convert_to_tensor(self.raw_scales)) + _SMALLEST_SCALE
        components = tfd.MultivariateNormalDiag(tf.convert_to_tensor(self.means), scales)
        weights = tfd.Categorical(logits=tf.convert_to_tensor(self.logits))
        return tfd.MixtureSameFamily(weights, components)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_components": self.num_components}


@PRIORS.register("vamp")
@keras.saving.register_keras_serializable(package="keras_transgen")
class VampPrior(Prior):
    """The posterior of learned pseudo-inputs u_k, averaged.

        p(z) = 1/K sum over k of q(z | u_k)

    The best prior for the bound is the aggregate posterior, the average of q(z|x) over the data;
    this is its approximation by a few inputs that are learned with the model. Where examples lie
    in [0, 1], so do the pseudo-inputs.

    Args:
        num_components: Number of pseudo-inputs K. Defaults to 50.

    Raises:
        ValueError: If there is none.

    Reference:
        Tomczak and Welling, "VAE with a VampPrior", 2018.
    """

    def __init__(self, num_components: int = 50, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_components = _checked_count(num_components)

    def create_variables(self) -> None:
        self.pseudo_inputs = self.add_weight(
            name="pseudo_inputs",
            shape=(self.num_components, *self.example_shape),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
            dtype="float32",
        )

    def distribution(self, encode: Callable[[tf.Tensor], Any]) -> tfd.Distribution:
        inputs = tf.convert_to_tensor(self.pseudo_inputs)
        components = encode(tf.sigmoid(inputs) if self.bounded else inputs)
        return tfd.MixtureSameFamily(
            tfd.Categorical(logits=tf.zeros(self.num_components)), components
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_components": self.num_components}


@keras.saving.register_keras_serializable(package="keras_transgen")
class FixedPrior(Prior):
    """A TFP distribution as it is; where its parameters are `tf.Variable`s, they are learned.

    Args:
        fixed: TFP distribution with event shape `[latent_dim]` and no batch, float32, whose support
            is all of R^n. Its trainable `tf.Variable`s are the prior's weights: they train with the
            model and are saved with it.

    Raises:
        ValueError: If it is no TFP distribution.
    """

    def __init__(self, fixed: tfd.Distribution, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(fixed, tfd.Distribution):
            raise ValueError(f"fixed must be a TFP distribution. Received: fixed={fixed!r}")
        self.fixed = fixed

    def create_variables(self) -> None:
        event, batch = tuple(self.fixed.event_shape), tuple(self.fixed.batch_shape)
        if event != (self.latent_dim,) or batch != () or self.fixed.dtype != tf.float32:
            raise ValueError(
                f"A prior must be one float32 distribution over vectors of {self.latent_dim} "
                "units (latent_dim); wrap independent units in tfd.Independent(..., 1). Received: "
                f"batch shape {batch}, event shape {event}, {self.fixed.dtype}"
            )
        refuse_partial_support(self.fixed, self.latent_dim)
        # An attribute that holds Keras variables is how Keras comes to know them.
        self.parameters = [
            AdoptedVariable(variable, f"{self.name}/parameter_{number}")
            for number, variable in enumerate(self.fixed.variables)
        ]

    def distribution(self, encode: Callable[[tf.Tensor], Any]) -> tfd.Distribution:
        return self.fixed

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "fixed": distribution_config(self.fixed)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FixedPrior:
        fixed = distribution_from_config(config["fixed"])
        rest = {key: value for key, value in config.items() if key != "fixed"}
        return cls(fixed, **arguments_from_file(cls, rest))


def get_prior(prior: Any) -> Prior:
    """A prior from its name, a TFP distribution, or itself.

    Args:
        prior: A name in `PRIORS`, a `Prior`, or a TFP distribution over vectors.

    Returns:
        The prior.

    Raises:
        ValueError: If it is none of these.
    """
    if isinstance(prior, Prior):
        return prior
    if isinstance(prior, tfd.Distribution):
        return FixedPrior(prior)
    return PRIORS.find(prior, ", a Prior, or a TFP distribution")()


def _checked_count(num_components: int) -> int:
    if num_components < 1:
        raise ValueError(
            f"num_components must be at least 1. Received: num_components={num_components}"
        )
    return num_components
