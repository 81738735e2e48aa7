"""What a network says of the next sample: mu-law classes, or a mixture of logistics.

A wave enters as the numbers of its levels, and leaves so; everything in between is here: how levels
lie in [-1, 1], how many numbers a distribution takes, -log p, and a draw from uniform numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_transgen.generative.discretized_logistic import DiscretizedLogistic
from keras_transgen.training.registry import Registry


class SampleDistribution:
    """The distribution of one sample over the levels that it may have.

    Args:
        levels: How many there are.
        components: Of a mixture; a distribution may have no use for it.
    """

    # Uniform numbers that a draw takes.
    uniforms: int
    # Whether each level is a class, which has a vector of its own where the wave enters.
    of_classes: bool

    def __init__(self, levels: int, components: int) -> None:
        self.levels, self.components = levels, components

    @property
    def parameters(self) -> int:
        """How many numbers the network gives for a sample."""
        raise NotImplementedError

    def quantized(self, waves: Any) -> tf.Tensor:
        """The levels nearest to waves in [-1, 1], int32."""
        places = (self.compressed(tf.cast(waves, tf.float32)) + 1.0) / 2.0 * (self.levels - 1)
        return tf.clip_by_value(tf.cast(tf.round(places), tf.int32), 0, self.levels - 1)

    def waves(self, levels: Any) -> tf.Tensor:
        """Waves in [-1, 1] from levels, float32."""
        return self.expanded(self.values(levels))

    def values(self, levels: Any) -> tf.Tensor:
        """Levels as equally spaced numbers from -1 to 1, float32, as the network hears them."""
        return 2.0 * tf.cast(levels, tf.float32) / (self.levels - 1) - 1.0

    @property
    def silence(self) -> int:
        """The level of silence, which stands before every wave."""
        return self.levels // 2

    def compressed(self, waves: tf.Tensor) -> tf.Tensor:
        """Waves on the scale on which levels are equally spaced."""
        return waves

    def expanded(self, values: tf.Tensor) -> tf.Tensor:
        """The inverse of `compressed`."""
        return values

    def nats(self, parameters: tf.Tensor, levels: tf.Tensor) -> tf.Tensor:
        """-log p of levels.

        Args:
            parameters: float32 `[..., parameters]`.
            levels: int32 `[...]`.
        """
        raise NotImplementedError

    def draw(self, parameters: tf.Tensor, uniform: tf.Tensor, temperature: tf.Tensor) -> tf.Tensor:
        """Levels by the inverse of the distribution function, int32 `[...]`.

        Args:
            parameters: float32 `[..., parameters]`.
            uniform: `[..., uniforms]` in [0, 1).
            temperature: Scalar; below 1 it sharpens, 0 takes the likeliest.
        """
        raise NotImplementedError


DISTRIBUTIONS = Registry("distribution", lambda: SampleDistribution)
# Of a temperature of 0.
_COLDEST = 1e-6


@DISTRIBUTIONS.register("mu_law")
class MuLaw(SampleDistribution):
    """Classes of the mu-law, whose levels lie closer where it is quiet.

    With mu = levels - 1 a wave w has the place f(w) = sign(w) log(1 + mu |w|) / log(1 + mu) in
    [-1, 1]. A temperature divides the logits.

    Reference:
        ITU-T recommendation G.711; van den Oord et al., 2016.
    """

    uniforms, of_classes = 1, True

    @property
    def parameters(self) -> int:
        return self.levels

    def compressed(self, waves: tf.Tensor) -> tf.Tensor:
        mu = self.levels - 1.0
        return tf.sign(waves) * tf.math.log1p(mu * tf.abs(waves)) / math.log1p(mu)

    def expanded(self, values: tf.Tensor) -> tf.Tensor:
        mu = self.levels - 1.0
        return tf.sign(values) * tf.math.expm1(tf.abs(values) * math.log1p(mu)) / mu

    def nats(self, parameters: tf.Tensor, levels: tf.Tensor) -> tf.Tensor:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=levels, logits=parameters)

    def draw(self, parameters: tf.Tensor, uniform: tf.Tensor, temperature: tf.Tensor) -> tf.Tensor:
        return inverse_categorical(parameters / tf.maximum(temperature, _COLDEST), uniform[..., 0])


@DISTRIBUTIONS.register("logistics")
class LogisticMixture(SampleDistribution):
    """A mixture of logistic distributions, rounded to equally spaced levels.

    A temperature divides the logits of the components and multiplies the scales.

    Reference:
        Salimans et al., "PixelCNN++: Improving the PixelCNN with Discretized Logistic Mixture
        Likelihood and Other Modifications", 2017; van den Oord et al., "Parallel WaveNet: Fast
        high-fidelity speech synthesis", 2018.
    """

    uniforms, of_classes = 2, False

    @property
    def parameters(self) -> int:
        return 3 * self.components

    def _mixture(self, parameters: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Logits of the components, their locations and scales in units of [0, 1]."""
        logits, places, scales = tf.split(parameters, 3, axis=-1)
        # At the start they cover the middle of the range, where waves are.
        spread = 0.2 * tf.linspace(-1.0, 1.0, self.components)
        narrowest = 0.1 / self.levels
        return logits, 0.5 + 0.5 * (places + spread), narrowest + tf.nn.softplus(scales - 3.0)

    def nats(self, parameters: tf.Tensor, levels: tf.Tensor) -> tf.Tensor:
        logits, places, scales = self._mixture(parameters)
        component = DiscretizedLogistic(places, scales, levels=self.levels)
        value = tf.cast(levels, tf.float32) / (self.levels - 1)
        log_p = component.log_prob(value[..., None]) + tf.nn.log_softmax(logits)
        return -tf.reduce_logsumexp(log_p, axis=-1)

    def draw(self, parameters: tf.Tensor, uniform: tf.Tensor, temperature: tf.Tensor) -> tf.Tensor:
        logits, places, scales = self._mixture(parameters)
        component = inverse_categorical(logits / tf.maximum(temperature, _COLDEST), uniform[..., 0])
        chosen = tf.one_hot(component, self.components)
        place = tf.reduce_sum(chosen * places, axis=-1)
        scale = tf.reduce_sum(chosen * scales, axis=-1) * temperature
        # Away from 0 and 1, where the inverse is infinite.
        inside = tf.clip_by_value(uniform[..., 1], 1e-7, 1.0 - 1e-6)
        value = tfd.Logistic(place, 1.0).quantile(inside) - place
        steps = tf.round((place + scale * value) * (self.levels - 1))
        return tf.cast(tf.clip_by_value(steps, 0.0, self.levels - 1.0), tf.int32)


def inverse_categorical(logits: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """The class at which cumulated probabilities first exceed uniform numbers, int32 `[...]`.

    Args:
        logits: `[..., classes]`.
        uniform: `[...]` in [0, 1).
    """
    cumulated = tf.cumsum(tf.nn.softmax(logits), axis=-1)
    # What rounding leaves of one belongs to the last class that has a share.
    threshold = uniform * cumulated[..., -1]
    return tf.reduce_sum(tf.cast(cumulated <= threshold[..., None], tf.int32), axis=-1)


def distribution_of(name: str, levels: int, components: int) -> SampleDistribution:
    """The distribution of a name.

    Args:
        name: One of `DISTRIBUTIONS`.
        levels: How many levels a sample has.
        components: Of a mixture.
    """
    make: Callable[[int, int], SampleDistribution] = DISTRIBUTIONS.find(name)
    return make(levels, components)
