"""How far apart two images are to a pretrained network, as a loss and as a VAE's likelihood."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_transgen.backbones.multi_scale_features import MultiScaleFeatures
from keras_transgen.generative.likelihoods import Likelihood
from keras_transgen.training.config_from_file import Nested, arguments_from_file
from keras_transgen.training.counts import check_weights, is_weight

# Added to squared norms: a position without any feature has no direction, and no gradient.
_EPSILON = 1e-6


@keras.saving.register_keras_serializable(package="keras_transgen")
class PerceptualLoss(keras.losses.Loss):
    """Distance of two images in the features of a pretrained network.

    At each layer l the features are divided at every position by their norm over the channels, as
    LPIPS does, so that layers of all scales count alike; the squared difference is summed over the
    channels and averaged over the positions:

        d(x, y) = sum_l w_l mean_hw |f_l(x)/|f_l(x)| - f_l(y)/|f_l(y)||^2 / sum_l w_l

    It lies between 0 and 4 (2 for features that are not negative). The network is frozen.

    Layers may be of any Keras network that is a functional or Sequential model, and of any
    SavedModel that TensorFlow 2 saved: the layers inside it are found by name. A SavedModel of
    TensorFlow 1 gives its outputs only and cannot serve.

    A model compiled with this loss carries the network's weights in its `.keras` file.

    Args:
        backbone: A backbone, or anything `keras_transgen.load_backbone` takes. It is copied.
        layers: Names of layers. Defaults to the last layer of each scale.
        weights: A number for each layer. Defaults to 1 for each.
        value_range: `(low, high)` of the images that are compared: `(-1.0, 1.0)`, the range of GANs
            and image translation, or `(0.0, 1.0)`.
        image_size: `(height, width)` at which the network sees the images. Defaults to the size it
            was made for, to which images are resized; a smaller one is faster.
        reduction: As in `keras.losses.Loss`.
        name: As in `keras.losses.Loss`.
        dtype: As in `keras.losses.Loss`.

    Raises:
        ValueError: There is no such layer (near names are told), or the weights do not fit.

    Example:
        ```python
        import numpy as np
        import keras_transgen as ktg
        from keras_transgen.fusion.perceptual_loss import PerceptualLoss

        images, _ = ktg.datasets.load_digits()
        loss = PerceptualLoss("digits", ["block1_pool", "block2_pool"], value_range=(0.0, 1.0))
        assert float(loss(images[:4], images[:4])) == 0.0
        assert float(loss(images[:4], images[4:8])) > 0.0
        ```

    Reference:
        Johnson, Alahi and Fei-Fei, Perceptual losses for real-time style transfer and
        super-resolution, 2016; Zhang et al., The unreasonable effectiveness of deep features as a
        perceptual metric, 2018 (LPIPS, whose learned weights a user may hand in by layer only).
    """

    def __init__(
        self,
        backbone: Any,
        layers: Sequence[str] | None = None,
        weights: Sequence[float] | None = None,
        value_range: tuple[float, float] = (-1.0, 1.0),
        image_size: tuple[int, int] | None = None,
        reduction: str = "sum_over_batch_size",
        name: str = "perceptual_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.features = MultiScaleFeatures(backbone, layers, value_range, image_size)
        self.weights = _checked_weights(weights, self.features.layer_names)

    @property
    def value_range(self) -> tuple[float, float]:
        """Lowest and highest value of the images that are compared."""
        return self.features.value_range

    def call(self, y_true: Any, y_pred: Any) -> tf.Tensor:
        """The distance of each pair, `[batch]`.

        Args:
            y_true: Images `[batch, height, width, channels]` in `value_range`.
            y_pred: As many others.
        """
        pairs = zip(self.weights, self.features(y_true), self.features(y_pred), strict=True)
        distances = [weight * _distance(one, other) for weight, one, other in pairs]
        return tf.add_n(distances) / sum(self.weights)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.features.backbone),
            "layers": self.features.layer_names,
            "weights": self.weights,
            "value_range": self.features.value_range,
            "image_size": self.features.image_size,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> PerceptualLoss:
        """Make the loss again from what `get_config` returned."""
        return cls(**arguments_from_file(cls, config, backbone=Nested(keras.layers.Layer)))


@keras.saving.register_keras_serializable(package="keras_transgen")
class PerceptualLikelihood(Likelihood):
    """A perceptual distance in the place of a VAE's likelihood: p(x|z) proportional to exp(-E).

        E(x, z) = weight d(x, xhat(z)) + pixel_weight sum of (x - xhat(z))^2

    with xhat the sigmoid of the decoder's output. This is a Gibbs density whose normalising
    constant nobody knows, and which depends on z: what the VAE maximises with it is no bound on
    log p(x). `fit` logs E as `reconstruction`; `log_likelihood`, `decode` and sampling with
    observation noise raise.

    Args:
        loss: A `PerceptualLoss` with `value_range=(0.0, 1.0)`.
        weight: Weight of the distance, which is between 0 and 4, beside a KL in nats. Defaults to
            the number of values of an example.
        pixel_weight: Weight of the squared errors. Features of layers hardly see brightness and
            colour, so some of it keeps them. Defaults to 1.
        **kwargs: Passed to `keras.layers.Layer`.

    Raises:
        ValueError: The loss compares images of another range, or a weight is negative.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.fusion.perceptual_loss import PerceptualLikelihood, PerceptualLoss

        images, _ = ktg.datasets.load_digits()
        loss = PerceptualLoss("digits", ["block1_pool"], value_range=(0.0, 1.0))
        vae = ktg.VAE((8, 8, 1), latent_dim=4, likelihood=PerceptualLikelihood(loss))
        vae.fit(images[:64], epochs=1, verbose=0)
        ```

    Reference:
        Larsen et al., Autoencoding beyond pixels using a learned similarity metric, 2016.
    """

    normalized = False
    of_logits = True

    def __init__(
        self,
        loss: PerceptualLoss,
        weight: float | None = None,
        pixel_weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if loss.value_range != (0.0, 1.0):
            raise ValueError(
                "A VAE's images lie in [0, 1]: make the loss with value_range=(0.0, 1.0). "
                f"Received: a loss with value_range={loss.value_range}"
            )
        check_weights(weight=0.0 if weight is None else weight, pixel_weight=pixel_weight)
        self.loss = loss
        # A layer of this layer, so that its weights are known as the model's.
        self.features = loss.features
        self.weight = weight
        self.pixel_weight = float(pixel_weight)

    def check_support(self, values: Any, low: float, high: float, name: str) -> None:
        if low < 0.0 or high > 1.0:
            raise ValueError(
                "A PerceptualLikelihood needs images with values in [0, 1], or uint8 images, which "
                f"are scaled. Received: {name} with values from {low:g} to {high:g}"
            )

    def log_prob(self, parameters: Any, x: Any) -> tf.Tensor:
        """Minus the energy of examples, `[...]`: not a log-likelihood, see the class."""
        made = tf.reshape(tf.sigmoid(parameters), [-1, *self.example_shape])
        outer = tf.shape(parameters)[: -len(self.example_shape)]
        real = tf.reshape(tf.broadcast_to(x, tf.shape(parameters)), [-1, *self.example_shape])
        weight = math.prod(self.example_shape) if self.weight is None else self.weight
        energy = weight * tf.cast(self.loss.call(real, made), tf.float32)
        if self.pixel_weight:
            energy += self.pixel_weight * tf.reduce_sum(tf.square(real - made), axis=[1, 2, 3])
        return tf.reshape(-energy, outer)

    def mean(self, parameters: Any) -> tf.Tensor:
        """The image that the decoder makes."""
        return tf.sigmoid(parameters)

    def distribution(self, parameters: Any) -> Any:
        """There is none: the density is not normalised."""
        raise ValueError(
            "A PerceptualLikelihood is exp(-energy) without its normalising constant, so there is "
            "no distribution to decode to or to draw from: use sample() or reconstruct(), whose "
            "images are what the decoder makes. Received: a call that needs p(x|z)"
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "loss": keras.saving.serialize_keras_object(self.loss),
            "weight": self.weight,
            "pixel_weight": self.pixel_weight,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> PerceptualLikelihood:
        """Make the likelihood again from what `get_config` returned."""
        return cls(**arguments_from_file(cls, config, loss=Nested(PerceptualLoss)))


def _distance(one: Any, other: Any) -> tf.Tensor:
    difference = _unit(one) - _unit(other)
    squared = tf.reduce_sum(tf.square(difference), axis=-1)
    return tf.reduce_mean(tf.reshape(squared, [tf.shape(squared)[0], -1]), axis=1)


def _unit(features: Any) -> tf.Tensor:
    features = tf.cast(features, tf.float32)
    squared = tf.reduce_sum(tf.square(features), axis=-1, keepdims=True)
    return features * tf.math.rsqrt(squared + _EPSILON)


def _checked_weights(weights: Sequence[float] | None, layers: Sequence[str]) -> list[float]:
    if weights is None:
        return [1.0] * len(layers)
    found = list(weights) if isinstance(weights, Iterable) else [weights]
    if len(found) != len(layers) or not all(map(is_weight, found)) or not sum(found):
        raise ValueError(
            "weights must be one number for each layer, none negative and not all zero. "
            f"Received: weights={found} for layers={list(layers)}"
        )
    return [float(weight) for weight in found]
