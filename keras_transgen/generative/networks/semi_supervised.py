"""Networks of a semi-supervised GAN: a noisy discriminator, a generator that does not saturate."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_transgen.generative.networks.dcgan import widths
from keras_transgen.generative.networks.weight_normalization import WeightNormalization

_HIDDEN = (4, 2, 1, 1, 1)
_EPSILON = 1e-6
# As far from the ends of the range as a mean may start.
_MARGIN = 0.02
OUTPUTS = ("softplus", "linear", "sigmoid")


@keras.saving.register_keras_serializable(package="keras_transgen")
class SoftRange(keras.layers.Layer):
    """Any number into a range by an activation; softplus goes beyond the upper end.

    A sigmoid is flat at both ends, so that pixels which are black or white in the data take their
    gradient away with them; softplus is so at one end and slowly, `"linear"` nowhere.

    Args:
        activation: `"softplus"` (the default), `"linear"` or `"sigmoid"`.
        value_range: `(low, high)`, which the activation's [0, 1] stands for; `None` for values as
            they are, which only `"linear"` has. Defaults to `(0, 1)`.
        **kwargs: Passed to `keras.layers.Layer`.

    Raises:
        ValueError: If the activation is unknown, or needs a range.

    Example:
        ```python
        import keras
        from keras_transgen.generative.networks.semi_supervised import SoftRange

        values = SoftRange("sigmoid", (-1.0, 1.0))(keras.ops.zeros((1, 2)))
        assert float(values[0, 0]) == 0.0
        ```
    """

    def __init__(
        self,
        activation: str = "softplus",
        value_range: tuple[float, float] | None = (0.0, 1.0),
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        if not isinstance(activation, str) or activation not in OUTPUTS:
            raise ValueError(
                f"generator_output must be one of {list(OUTPUTS)}, or 'auto' of a model. "
                f"Received: {activation!r:.100}"
            )
        if value_range is None and activation != "linear":
            raise ValueError(
                "Values without bounds take generator_output='linear'; give value_range=(low, "
                f"high) for another. Received: {activation!r} with value_range=None"
            )
        self.activation = activation
        self.value_range = None if value_range is None else tuple(value_range)

    def call(self, inputs: Any) -> Any:
        activated = keras.activations.get(self.activation)(inputs)
        if self.value_range is None:
            return activated
        low, high = self.value_range
        return activated * (high - low) + low

    def inverse(self, values: np.ndarray) -> np.ndarray:
        """The inputs that give values, which are first moved off the ends of the range."""
        if self.value_range is None:
            return values
        low, high = self.value_range
        share = (values - low) / (high - low)
        if self.activation == "linear":
            return share
        share = np.clip(share, _MARGIN, 1.0 - _MARGIN)
        if self.activation == "sigmoid":
            return np.log(share / (1.0 - share))
        return np.log(np.expm1(share))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "activation": self.activation,
            "value_range": self.value_range,
        }


@keras.saving.register_keras_serializable(package="keras_transgen")
class UniformNoise(keras.layers.GaussianNoise):
    """Adds uniform noise of mean zero in training: `keras.layers.GaussianNoise`, drawn cheaper.

    On CPU normal numbers are much of a dense semi-supervised GAN's step; the deviation is what
    counts.

    Args:
        stddev: Standard deviation; values lie within its `sqrt(3)`-fold.
        **kwargs: Passed to `keras.layers.GaussianNoise`.

    Example:
        ```python
        import keras
        from keras_transgen.generative.networks.semi_supervised import UniformNoise

        noisy = UniformNoise(0.5, seed=0)(keras.ops.zeros((4, 3)), training=True)
        assert float(keras.ops.max(keras.ops.abs(noisy))) <= 0.5 * 3.0**0.5
        ```
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or not self.stddev:
            return inputs
        end = 3.0**0.5 * self.stddev
        noise = keras.random.uniform(
            keras.ops.shape(inputs), -end, end, dtype=self.compute_dtype, seed=self.seed_generator
        )
        return keras.ops.add(inputs, noise)


def semi_supervised_discriminator(
    example_shape: tuple[int, ...], width: int, input_noise: float, hidden_noise: float
) -> keras.Model:
    """From examples to features `[batch, features]`, by layers of normalized weights, with noise.

    Args:
        example_shape: `(features,)`, five dense layers, or `(size, size, channels)`, two
            convolutions for each halving and the mean over what is left.
        width: Units of the last layers, or channels of the first convolutions.
        input_noise: Standard deviation of uniform noise added to examples in training.
        hidden_noise: The same, added to what goes into every other layer.

    Returns:
        A Keras model, a chain of layers.
    """
    x = inputs = keras.Input(example_shape)
    x = UniformNoise(input_noise)(x) if input_noise else x
    if len(example_shape) == 1:
        layers: list[Any] = [keras.layers.Dense(width * times, **_start()) for times in _HIDDEN]
    else:
        layers = [
            keras.layers.Conv2D(channels, 3, strides=strides, padding="same", **_start())
            for channels in widths(example_shape, width)
            for strides in (1, 2)
        ]
    for place, layer in enumerate(layers):
        if place and hidden_noise:
            x = UniformNoise(hidden_noise)(x)
        x = WeightNormalization(layer)(x)
        x = keras.layers.ReLU()(x) if len(example_shape) == 1 else keras.layers.LeakyReLU(0.2)(x)
    if len(example_shape) == 3:
        x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, x, name="discriminator")


def class_logits_layer(num_classes: int) -> WeightNormalization:
    """The layer from features to class logits, float32."""
    dense = keras.layers.Dense(num_classes, dtype="float32", **_start())
    return WeightNormalization(dense, trains_gain=True, name="class_logits")


def semi_supervised_generator(
    example_shape: tuple[int, ...],
    latent_dim: int,
    width: int,
    output: str,
    value_range: tuple[float, float] | None,
) -> keras.Model:
    """From latent vectors to examples, float32, by a last layer that `output` names.

    Args:
        example_shape: `(features,)` or `(size, size, channels)`.
        latent_dim: Length of a latent vector.
        width: Half the units of a dense layer, or channels of the largest maps.
        output: Of `SoftRange`.
        value_range: Of `SoftRange`.
    """
    x = inputs = keras.Input((latent_dim,))
    if len(example_shape) == 1:
        for _ in range(2):
            x = keras.layers.Dense(2 * width, use_bias=False)(x)
            x = keras.layers.BatchNormalization(momentum=0.9, epsilon=_EPSILON)(x)
            x = keras.layers.Activation("softplus")(x)
        last: Any = keras.layers.Dense(example_shape[0], dtype="float32", **_start(0.05))
        x = WeightNormalization(last, trains_gain=True, name="last")(x)
    else:
        channels = widths(example_shape, width)
        size = example_shape[0] // 2 ** len(channels)
        x = keras.layers.Dense(size * size * channels[-1], use_bias=False)(x)
        x = keras.layers.Reshape((size, size, channels[-1]))(x)
        for each in channels[-2::-1]:
            x = keras.layers.BatchNormalization(momentum=0.9, epsilon=_EPSILON)(x)
            x = keras.layers.ReLU()(x)
            x = keras.layers.Conv2DTranspose(each, 4, strides=2, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization(momentum=0.9, epsilon=_EPSILON)(x)
        x = keras.layers.ReLU()(x)
        x = keras.layers.Conv2DTranspose(
            example_shape[2], 4, strides=2, padding="same", dtype="float32", name="last"
        )(x)
    x = SoftRange(output, value_range, name="output_range")(x)
    return keras.Model(inputs, x, name="generator")


def start_at_mean(generator: keras.Model, examples: np.ndarray) -> None:
    """Set the last bias of a generator that was built here so that it starts near the data's mean.

    Args:
        generator: Of `semi_supervised_generator`.
        examples: `[batch, *example_shape]`, scaled.
    """
    bias, output = last_bias(generator), generator.get_layer("output_range")
    mean = examples.reshape(-1, bias.shape[0]).mean(axis=0)
    bias.assign(output.inverse(mean))


def last_bias(generator: keras.Model) -> keras.Variable:
    """The last bias of a generator of `semi_supervised_generator`."""
    last = generator.get_layer("last")
    return last.layer.bias if isinstance(last, WeightNormalization) else last.bias


def _start(deviation: float = 0.1) -> dict[str, Any]:
    return {"kernel_initializer": keras.initializers.RandomNormal(stddev=deviation)}
