"""Likelihoods p(x|z): from the decoder's output to a distribution over examples."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_transgen.generative.discretized_logistic import DiscretizedLogistic
from keras_transgen.generative.one_hot import check_symbols, refuse_byte_symbols
from keras_transgen.training.config_from_file import Nested, arguments_from_file
from keras_transgen.training.registry import Registry

LIKELIHOODS = Registry("likelihood", lambda: Likelihood)

_ROWS_CHECKED = 1000
_SMALLEST_SIGMA = 1e-3
_SMALLEST_LOG_SCALE = -7.0


class Likelihood(keras.layers.Layer):
    """What a decoder's output means: the base of all likelihoods.

    A subclass says which shape it needs (`parameter_shape`), makes the distribution
    (`distribution`) and knows which values can occur (`check_support`).

    Attributes:
        bounded: Whether examples lie in [0, 1].
        normalized: Whether `log_prob` is the logarithm of a density whose integral is known.
        of_logits: Whether it takes the decoder's output for logits, which may be any number.
        counted: Gives which values of an example count, booleans `[*example_shape]`; `None` where
            all do. The others have a density of one.
    """

    bounded = True
    normalized = True
    of_logits = False
    counted: Callable[[], tf.Tensor] | None = None

    def prepare(self, example_shape: tuple[int, ...]) -> None:
        """Learn the shape of an example and create variables, if there are any."""
        self.example_shape = example_shape
        if not self.built:
            self.create_variables()
            self.built = True

    def create_variables(self) -> None:
        """Create variables of the likelihood's own; none by default."""

    def parameter_shape(self) -> tuple[int, ...] | None:
        """Shape of the decoder's output for one example; `None` if any will do."""
        return self.example_shape

    def distribution(self, parameters: Any) -> tfd.Distribution:
        """The distribution over examples.

        Args:
            parameters: The decoder's output, float32 `[..., *parameter_shape]`.

        Returns:
            TFP distribution with event shape `example_shape`.
        """
        raise NotImplementedError

    def log_prob(self, parameters: Any, x: Any) -> tf.Tensor:
        """Log-likelihood of examples in nats, summed over each; `[...]`."""
        return self.distribution(parameters).log_prob(x)

    def mean(self, parameters: Any) -> tf.Tensor:
        """The expected example."""
        return self.distribution(parameters).mean()

    def check_support(self, values: np.ndarray, low: float, high: float, name: str) -> None:
        """Refuse float examples that cannot occur; the default takes all."""

    def check_bytes(self, name: str) -> None:
        """Refuse uint8 images, which arrive as n/255; the default takes them."""

    def independent(self, distribution: tfd.Distribution) -> tfd.Independent:
        """Take the last axes of a batch of distributions as one example."""
        if self.counted is not None:
            distribution = tfd.Masked(distribution, self.counted())
        return tfd.Independent(distribution, reinterpreted_batch_ndims=len(self.example_shape))


@LIKELIHOODS.register("bernoulli")
@keras.saving.register_keras_serializable(package="keras_transgen")
class Bernoulli(Likelihood):
    """Independent black or white values; the decoder gives logits.

    Targets between 0 and 1 are taken as probabilities: the loss is then the cross-entropy of the
    pixel's own Bernoulli, not a likelihood of the grey value.

    Example:
        ```python
        import numpy as np
        from keras_transgen.generative.likelihoods import Bernoulli

        likelihood = Bernoulli()
        likelihood.prepare((4,))
        log_prob = likelihood.log_prob(np.zeros((2, 4), "float32"), np.ones((2, 4), "float32"))
        assert abs(float(log_prob[0]) - 4 * np.log(0.5)) < 1e-5
        ```

    Reference:
        Kingma and Welling, "Auto-Encoding Variational Bayes", 2013.
    """

    of_logits = True

    def distribution(self, parameters: Any) -> tfd.Distribution:
        return self.independent(tfd.Bernoulli(logits=parameters, dtype=tf.float32))

    def log_prob(self, parameters: Any, x: Any) -> tf.Tensor:
        # One softplus in place of the two that TFP's Bernoulli takes.
        terms = x * parameters - tf.nn.softplus(parameters)
        return tf.reduce_sum(terms, axis=_last_axes(len(self.example_shape)))

    def check_support(self, values: np.ndarray, low: float, high: float, name: str) -> None:
        if low < 0.0 or high > 1.0:
            raise ValueError(
                "A Bernoulli likelihood needs values in [0, 1], or uint8 images, which are scaled. "
                f"Divide images by {65535 if high > 255 else 255}, or take "
                "likelihood='gaussian' for values without bounds. "
                f"Received: {name} with values from {low:g} to {high:g}"
            )


@LIKELIHOODS.register("gaussian")
@keras.saving.register_keras_serializable(package="keras_transgen")
class Gaussian(Likelihood):
    """Independent normal values; the decoder gives means, and scales if they are predicted.

    Args:
        sigma: `"learned"`: one standard deviation shared by all values, learned (the default). A
            number: fixed. `"predicted"`: one for each value, from the decoder, whose output then
            has twice the channels: means first. None is smaller than 0.001, or the likelihood of a
            value that never varies would be without bound.

    Raises:
        ValueError: If `sigma` is none of these or not positive.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.generative.likelihoods import Gaussian

        vae = ktg.VAE(input_shape=(64,), latent_dim=4, likelihood=Gaussian(sigma=0.1))
        ```

    Reference:
        Rybkin, Daniilidis and Levine, "Simple and Effective VAE Training with Calibrated
        Decoders", 2021 (the shared, learned scale).
    """

    bounded = False

    def __init__(self, sigma: float | str = "learned", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        named = sigma in ("learned", "predicted")
        if not named and (isinstance(sigma, (str, bool)) or not 0.0 < sigma < math.inf):
            raise ValueError(
                "sigma must be 'learned', 'predicted' or a positive number. "
                f"Received: sigma={sigma!r}"
            )
        self.sigma = sigma if named else float(sigma)

    def create_variables(self) -> None:
        if self.sigma == "learned":
            self.log_sigma = self.add_weight(name="log_sigma", initializer="zeros", dtype="float32")

    def parameter_shape(self) -> tuple[int, ...]:
        return _with_channels(self.example_shape, 2 if self.sigma == "predicted" else 1)

    def distribution(self, parameters: Any) -> tfd.Distribution:
        if self.sigma == "predicted":
            loc, raw = tf.split(parameters, 2, axis=-1)
            scale = tf.nn.softplus(raw) + _SMALLEST_SIGMA
        elif self.sigma == "learned":
            loc = parameters
            scale = tf.exp(tf.convert_to_tensor(self.log_sigma)) + _SMALLEST_SIGMA
        else:
            loc, scale = parameters, self.sigma
        return self.independent(tfd.Normal(loc, scale))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "sigma": self.sigma}


class _OnLevels(Likelihood):
    """Values that lie on `levels` equally spaced points of [0, 1]."""

    def __init__(self, levels: int = 256, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if levels < 2:
            raise ValueError(f"levels must be at least 2. Received: levels={levels}")
        self.levels = levels

    def check_support(self, values: np.ndarray, low: float, high: float, name: str) -> None:
        steps = np.asarray(values[:_ROWS_CHECKED], "float64") * (self.levels - 1)
        if low < -1e-6 or high > 1.0 + 1e-6 or np.abs(steps - np.round(steps)).max() > 0.02:
            raise ValueError(
                f"A {type(self).__name__} likelihood of {self.levels} levels needs values that are "
                f"multiples of 1/{self.levels - 1} in [0, 1]"
                + (", or uint8 images, which are scaled" if self.levels == 256 else "")
                + f". Received: {name} with values from {low:g} to {high:g}"
            )

    def check_bytes(self, name: str) -> None:
        if 255 % (self.levels - 1):
            raise ValueError(
                f"uint8 images have 256 levels, this likelihood has {self.levels}: give floats "
                f"that are multiples of 1/{self.levels - 1}. Received: uint8 {name}"
            )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "levels": self.levels}


@LIKELIHOODS.register("discretized_logistic")
@keras.saving.register_keras_serializable(package="keras_transgen")
class DiscretizedLogisticLikelihood(_OnLevels):
    """Values on levels, each the mass of a logistic distribution; the decoder gives loc and scale.

    The decoder's output has twice the channels of an example: first u, then v, and the logistic's
    location is `(u + 1) / 2`, its scale `exp(max(v, -7)) / 2`, in units of [0, 1].

    Args:
        levels: Number of levels. Defaults to 256, for bytes.

    Raises:
        ValueError: If there are fewer than 2 levels.

    Reference:
        Salimans et al., "PixelCNN++: Improving the PixelCNN with Discretized Logistic Mixture
        Likelihood and Other Modifications", 2017.
    """

    def parameter_shape(self) -> tuple[int, ...]:
        return _with_channels(self.example_shape, 2)

    def distribution(self, parameters: Any) -> tfd.Distribution:
        loc, log_scale = tf.split(parameters, 2, axis=-1)
        scale = 0.5 * tf.exp(tf.maximum(log_scale, _SMALLEST_LOG_SCALE))
        return self.independent(DiscretizedLogistic(0.5 * loc + 0.5, scale, self.levels))


@LIKELIHOODS.register("categorical")
@keras.saving.register_keras_serializable(package="keras_transgen")
class Categorical(_OnLevels):
    """Values on levels, each with a probability of its own; the decoder gives logits.

    The decoder's output has `levels` times the channels of an example.

    Args:
        levels: Number of levels. Defaults to 256, for bytes.

    Raises:
        ValueError: If there are fewer than 2 levels.

    Reference:
        van den Oord et al., "Pixel Recurrent Neural Networks", 2016.
    """

    of_logits = True

    def parameter_shape(self) -> tuple[int, ...]:
        return _with_channels(self.example_shape, self.levels)

    def distribution(self, parameters: Any) -> tfd.Distribution:
        outcomes = tf.linspace(0.0, 1.0, self.levels)
        # Values may be off by rounding, never by half a level.
        tolerance = 0.25 / (self.levels - 1)
        return self.independent(
            tfd.FiniteDiscrete(outcomes, logits=self._logits(parameters), atol=tolerance)
        )

    def log_prob(self, parameters: Any, x: Any) -> tf.Tensor:
        # The same number as the distribution's, without its search for the outcome.
        logits = self._logits(parameters)
        level = tf.cast(tf.round(x * (self.levels - 1)), tf.int32)
        chosen = tf.one_hot(level, self.levels)
        terms = tf.reduce_sum(chosen * logits, axis=-1) - tf.reduce_logsumexp(logits, axis=-1)
        return tf.reduce_sum(terms, axis=_last_axes(len(self.example_shape)))

    def _logits(self, parameters: tf.Tensor) -> tf.Tensor:
        outer = tf.shape(parameters)[: -len(self.example_shape)]
        return tf.reshape(parameters, tf.concat([outer, [*self.example_shape, self.levels]], 0))


@LIKELIHOODS.register("one_hot_categorical")
@keras.saving.register_keras_serializable(package="keras_transgen")
class OneHotCategorical(Likelihood):
    """Symbols, one-hot vectors along the last axis, each with a probability; from logits.

    The decoder's output has the shape of an example, and the mean of an example is the
    probabilities of its symbols. A `VAE` of sequences `(length, symbols)` takes it for
    `likelihood="categorical"`, too; `Categorical(levels)` is the one of values on levels.

    Example:
        ```python
        import numpy as np
        from keras_transgen.generative.likelihoods import OneHotCategorical

        likelihood = OneHotCategorical()
        likelihood.prepare((60, 4))
        x = np.eye(4, dtype="float32")[np.zeros((2, 60), int)]
        nats = -likelihood.log_prob(np.zeros((2, 60, 4), "float32"), x)
        assert abs(float(nats[0]) - 60 * np.log(4)) < 1e-3
        ```

    Reference:
        Gomez-Bombarelli et al., "Automatic Chemical Design Using a Data-Driven Continuous
        Representation of Molecules", 2018.
    """

    of_logits = True

    def distribution(self, parameters: Any) -> tfd.Distribution:
        each = tfd.OneHotCategorical(logits=parameters, dtype=tf.float32)
        return tfd.Independent(each, reinterpreted_batch_ndims=len(self.example_shape) - 1)

    def log_prob(self, parameters: Any, x: Any) -> tf.Tensor:
        terms = x * tf.nn.log_softmax(parameters)
        return tf.reduce_sum(terms, axis=_last_axes(len(self.example_shape)))

    def check_support(self, values: np.ndarray, low: float, high: float, name: str) -> None:
        check_symbols(values, name, exactly=True)

    def check_bytes(self, name: str) -> None:
        refuse_byte_symbols(name)


@keras.saving.register_keras_serializable(package="keras_transgen")
class CustomLikelihood(Likelihood):
    """A function from the decoder's output to a TFP distribution over examples.

    Args:
        function: Takes the decoder's output (float32), returns a TFP distribution whose event is
            one example. To save the model, register it with
            `keras.saving.register_keras_serializable`.

    Raises:
        ValueError: If it is not callable.
    """

    bounded = False

    def __init__(self, function: Callable[[Any], Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise ValueError(f"function must be callable. Received: function={function!r}")
        self.function = function

    def parameter_shape(self) -> None:
        return None

    def distribution(self, parameters: Any) -> tfd.Distribution:
        distribution = self.function(parameters)
        event_shape = tuple(distribution.event_shape)
        if event_shape != self.example_shape:
            raise ValueError(
                "The likelihood function must return a distribution over one example; wrap "
                "independent values in tfd.Independent. Expected event shape "
                f"{self.example_shape}. Received: {event_shape}"
            )
        return distribution

    def get_config(self) -> dict[str, Any]:
        function = keras.saving.serialize_keras_object(self.function)
        return {**super().get_config(), "function": function}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> CustomLikelihood:
        return cls(**arguments_from_file(cls, config, function=Nested(Callable, functions=True)))


def get_likelihood(likelihood: Any, example_shape: tuple[int, ...] = ()) -> Likelihood:
    """A likelihood from its name, a function, or itself.

    Args:
        likelihood: A name in `LIKELIHOODS`, a `Likelihood`, or a callable from the decoder's output
            to a TFP distribution.
        example_shape: Of an example. Of sequences of several channels, `"categorical"` is the
            likelihood of symbols, `OneHotCategorical`; of others that of values on levels.

    Returns:
        The likelihood.

    Raises:
        ValueError: If it is none of these.
    """
    if isinstance(likelihood, Likelihood):
        return likelihood
    if callable(likelihood) and not isinstance(likelihood, type):
        return CustomLikelihood(likelihood)
    if likelihood == "categorical" and len(example_shape) == 2 and example_shape[-1] > 1:
        return OneHotCategorical()
    return LIKELIHOODS.find(
        likelihood,
        ", a Likelihood, or a callable from the decoder's output to a TFP distribution",
    )()


def _with_channels(shape: tuple[int, ...], factor: int) -> tuple[int, ...]:
    return (*shape[:-1], shape[-1] * factor)


def _last_axes(count: int) -> list[int]:
    return list(range(-count, 0))
