"""Images to a small map of standardised latents and back, without what it took to learn that."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.fusion.feature_scale import FeatureScale
from keras_transgen.generative.networks.image_codec import image_decoder, image_encoder
from keras_transgen.training.config_from_file import arguments_from_file
from keras_transgen.training.counts import check_count

# Between them the exponential of half the logarithm is a number in any precision.
_LOG_VARIANCE = (-20.0, 10.0)


@keras.saving.register_keras_serializable(package="keras_transgen")
class LatentCodec(keras.layers.Layer):
    """The encoder and decoder of a `LatentAutoencoder`, and the scale of its latents.

    The scale is not known before the autoencoder has been trained; until then `encode` and `decode`
    work on latents as they are.

    With `levels` the latents lie within (-1, 1), and the decoder sees the nearest of `levels`
    evenly spaced values in each channel: a codebook of `levels ** latent_channels` vectors, of
    which no entry has to be learnt or can die. The gradient passes as if nothing were rounded.

    Args:
        image_shape: `(height, width, channels)`.
        latent_channels: Of the maps of latents.
        downsampling: How many pixels a side a place of the maps stands for: 2, 4, 8, ...
        width: Channels of the networks' largest maps.
        value_range: `(low, high)` of the images.
        levels: Values that a latent is rounded to, `None` for latents of a normal distribution.
        **kwargs: Passed to `keras.layers.Layer`.

    Raises:
        ValueError: If the images cannot be divided so, or a number is none that builds a network.

    Reference:
        Mentzer et al., Finite scalar quantization: VQ-VAE made simple, 2024.
    """

    def __init__(
        self,
        image_shape: tuple[int, ...] = (64, 64, 3),
        latent_channels: int = 4,
        downsampling: int = 4,
        width: int = 48,
        value_range: tuple[float, float] = (-1.0, 1.0),
        levels: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.image_shape = tuple(int(size) for size in image_shape)
        _check(self.image_shape, latent_channels, downsampling, width, levels)
        low, high = value_range
        self.latent_channels = int(latent_channels)
        self.downsampling = int(downsampling)
        self.width = int(width)
        self.value_range = (float(low), float(high))
        self.levels = None if levels is None else int(levels)
        sizes = {"downsampling": downsampling, "width": width}
        # Mean and deviation of a normal distribution, or the latents themselves.
        outputs = self.latent_channels * (2 if levels is None else 1)
        self.encoder = image_encoder(self.image_shape, outputs, **sizes)
        self.decoder = image_decoder(self.image_shape, self.latent_channels, **sizes)
        self.scale = FeatureScale(self.latent_channels, name="latent_scale")
        # What was frozen before it had layers does not reach them, and setting it again does not.
        self.encoder.trainable = self.decoder.trainable = self.trainable
        self.built = True

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """`(rows, columns, channels)` of an image's latents."""
        height, width = (side // self.downsampling for side in self.image_shape[:2])
        return (height, width, self.latent_channels)

    def posterior(self, images: Any, training: bool = False) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Mean and logarithm of the variance of images' latents, not standardised.

        Args:
            images: Float32 `[batch, *image_shape]` in the value range.
            training: Whether the encoder trains.

        Returns:
            Both `[batch, *latent_shape]`. With `levels` the latents before they are rounded, and
            `None`.
        """
        low, high = self.value_range
        centred = (images - (high + low) / 2.0) * (2.0 / (high - low))
        outputs = tf.cast(self.encoder(centred, training=training), tf.float32)
        if self.levels is not None:
            return tf.tanh(outputs), None
        mean, log_variance = tf.split(outputs, 2, axis=-1)
        return mean, tf.clip_by_value(log_variance, *_LOG_VARIANCE)

    def codes(self, latents: Any) -> tf.Tensor:
        """Numbers from 0 to `levels - 1` of latents that are not standardised, as float32."""
        assert self.levels is not None
        top = self.levels - 1.0
        return tf.round((tf.clip_by_value(latents, -1.0, 1.0) + 1.0) * (top / 2.0))

    def quantized(self, latents: Any) -> tf.Tensor:
        """Latents that are not standardised at the nearest level; as they are without levels."""
        if self.levels is None:
            return latents
        rounded = self.codes(latents) * (2.0 / (self.levels - 1.0)) - 1.0
        return latents + tf.stop_gradient(rounded - latents)

    def reconstructed(self, latents: Any, training: bool = False) -> tf.Tensor:
        """Images of latents that are not standardised, float32, not held within the value range."""
        low, high = self.value_range
        made = self.decoder(self.quantized(latents), training=training)
        made = tf.cast(made, tf.float32)
        return made * ((high - low) / 2.0) + (high + low) / 2.0

    def encode(self, images: Any) -> tf.Tensor:
        """Standardised means of the latents of images in the value range."""
        return self.scale(self.posterior(images)[0])

    def decode(self, latents: Any) -> tf.Tensor:
        """Images of standardised latents, within the value range."""
        made = self.reconstructed(self.scale.inverse(latents))
        return tf.clip_by_value(made, *self.value_range)

    def call(self, images: Any) -> tf.Tensor:
        return self.encode(images)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return (input_shape[0], *self.latent_shape)

    def copy_of(self, weights: list[Any]) -> LatentCodec:
        """Another codec like this one, with weights in the order of this one's."""
        other = type(self).from_config({**self.get_config(), "name": "codec"})
        other.set_weights([np.asarray(each) for each in weights])
        other.trainable = False
        return other

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("autocast", None)
        return {
            **config,
            "image_shape": self.image_shape,
            "latent_channels": self.latent_channels,
            "downsampling": self.downsampling,
            "width": self.width,
            "value_range": self.value_range,
            "levels": self.levels,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LatentCodec:
        """Make the layer again from what `get_config` returned."""
        return cls(**arguments_from_file(cls, config))


def _check(
    image_shape: tuple[int, ...], channels: int, downsampling: int, width: int, levels: int | None
) -> None:
    sizes = {"latent_channels": channels, "downsampling": downsampling, "width": width}
    for name, value in sizes.items():
        check_count(name, value)
    if levels is not None:
        check_count("levels", levels, 2)
    power = downsampling >= 2 and downsampling & (downsampling - 1) == 0
    if not power:
        raise ValueError(
            "downsampling must be 2, 4, 8 or a higher power of 2. "
            f"Received: downsampling={downsampling}"
        )
    if len(image_shape) != 3 or any(side % downsampling or side < 1 for side in image_shape[:2]):
        raise ValueError(
            "An autoencoder of images needs (height, width, channels) with sides that are "
            f"multiples of downsampling={downsampling}. Received: image_shape={image_shape}"
        )
