"""The logistic distribution rounded to equally spaced levels of [0, 1]."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp


class DiscretizedLogistic(tfp.distributions.Distribution):
    """A logistic distribution whose mass is gathered at `levels` values from 0 to 1.

    Let Y be logistic with location m and scale s (in units of [0, 1]), and h half the distance
    between two levels. The level v has the mass of [v - h, v + h]; the lowest takes all mass below
    it, the highest all above:

        P(v) = sigmoid(b) - sigmoid(a),  a = (v - h - m) / s,  b = (v + h - m) / s

    It is computed as `log sigmoid(b) + log sigmoid(-a) + log(1 - exp(a - b))`, the same number
    without a difference of numbers that are nearly equal. `tfd.QuantizedDistribution` knows whole
    numbers only, and a bijector to [0, 1] would add the density of a change of scale, which masses
    do not have.

    Reference:
        Salimans et al., "PixelCNN++: Improving the PixelCNN with Discretized Logistic Mixture
        Likelihood and Other Modifications", 2017.
    """

    def __init__(
        self,
        loc: Any,
        scale: Any,
        levels: int = 256,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "DiscretizedLogistic",
    ) -> None:
        parameters = dict(locals())
        self.loc = tf.convert_to_tensor(loc, tf.float32)
        self.scale = tf.convert_to_tensor(scale, tf.float32)
        self.levels = levels
        super().__init__(
            dtype=tf.float32,
            reparameterization_type=tfp.distributions.NOT_REPARAMETERIZED,
            validate_args=validate_args,
            allow_nan_stats=allow_nan_stats,
            parameters=parameters,
            name=name,
        )

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: Any = None) -> dict[str, Any]:
        properties = tfp.util.ParameterProperties
        return {
            "loc": properties(),
            "scale": properties(),
            "levels": properties(event_ndims=None),
        }

    def _event_shape_tensor(self) -> tf.Tensor:
        return tf.constant([], tf.int32)

    def _event_shape(self) -> tf.TensorShape:
        return tf.TensorShape([])

    def _log_prob(self, value: tf.Tensor) -> tf.Tensor:
        half = 0.5 / (self.levels - 1)
        from_below = tf.math.log_sigmoid((value + half - self.loc) / self.scale)
        from_above = tf.math.log_sigmoid(-(value - half - self.loc) / self.scale)
        between = from_below + from_above + tfp.math.log1mexp(2.0 * half / self.scale)
        upper = tf.where(value > 1.0 - half, from_above, between)
        return tf.where(value < half, from_below, upper)

    def _sample_n(self, n: int, seed: Any = None) -> tf.Tensor:
        continuous = tfp.distributions.Logistic(self.loc, self.scale).sample(n, seed=seed)
        steps = self.levels - 1
        return tf.round(tf.clip_by_value(continuous, 0.0, 1.0) * steps) / steps

    def _mean(self) -> tf.Tensor:
        # E[V] is the sum of P(V >= v) over the levels v above 0, times their distance. A loop keeps
        # one image in memory, not one for each level.
        steps = self.levels - 1

        def add(level: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            edge = (tf.cast(level, tf.float32) - 0.5) / steps
            return level + 1, total + tf.sigmoid((self.loc - edge) / self.scale)

        start = tf.zeros_like(self.loc + self.scale)
        _, total = tf.while_loop(lambda level, _: level <= steps, add, (tf.constant(1), start))
        return total / steps
