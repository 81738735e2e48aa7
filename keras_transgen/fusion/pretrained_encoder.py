"""A pretrained network as the encoder of a variational autoencoder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

from keras_transgen.backbones.multi_scale_features import MultiScaleFeatures
from keras_transgen.training.config_from_file import Nested, arguments_from_file

_POSITIONS = 4


@keras.saving.register_keras_serializable(package="keras_transgen")
class PretrainedEncoder(keras.layers.Layer):
    """Images to a vector of features, by a pretrained network seen at several scales.

    The network's pooled output says what is in an image, not where; a decoder needs both. So the
    feature maps of the last scales are averaged to at most 4x4 positions each, brought to
    `channels` by a 1x1 convolution of their own, which always trains, and put one after the other.

    It goes into any `VAE(encoder=...)`, which adds the heads for mean and scale. `PretrainedVAE`
    makes one itself, with a decoder for it.

    Args:
        backbone: A backbone, or anything `keras_transgen.load_backbone` takes. It is copied.
        layers: Names of layers. Defaults to the last layer of each of the `scales` coarsest scales.
        image_size: `(height, width)` at which the network sees the images. Defaults to the size
            that it was made for.
        trainable: Whether the network's parameters train. Its normalisation keeps its statistics.
        freeze_to: With `trainable`: name or index of the last parameter group that stays as it is
            (`backbone.parameter_groups()` of the copy, `encoder.backbone`, lists them).
        channels: Channels of each scale's part of the features. Defaults to 32.
        scales: How many of the coarsest scales to take where `layers` are not given. Defaults to 3.
        value_range: `(low, high)` of the images. Defaults to `(0.0, 1.0)`, as of a VAE.
        **kwargs: Passed to `keras.layers.Layer`.

    Call arguments:
        images: `[batch, height, width, channels]`, grey or of the network's channels; grey ones
            are repeated, other sizes resized.

    Output shape:
        `[batch, features]`.

    Raises:
        ValueError: There is no such layer or group, or a group is to be frozen in a network that
            is frozen as a whole.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.fusion import PretrainedEncoder

        images, _ = ktg.datasets.load_digits()
        encoder = PretrainedEncoder("digits", trainable=True, freeze_to="block1", channels=4)
        vae = ktg.VAE((8, 8, 1), latent_dim=4, encoder=encoder)
        vae.fit(images[:64], epochs=1, verbose=0)
        ```

    Reference:
        Hou et al., Deep feature consistent variational autoencoder, 2017 (a pretrained network
        beside a VAE); Lin et al., Feature pyramid networks for object detection, 2017 (1x1
        convolutions that bring the scales of a backbone to equal width).
    """

    def __init__(
        self,
        backbone: Any,
        layers: Sequence[str] | None = None,
        image_size: tuple[int, int] | None = None,
        trainable: bool = False,
        freeze_to: int | str | None = None,
        channels: int = 32,
        scales: int = 3,
        value_range: tuple[float, float] = (0.0, 1.0),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if channels < 1 or scales < 1:
            raise ValueError(
                "channels and scales must be at least 1. "
                f"Received: channels={channels}, scales={scales}"
            )
        if freeze_to is not None and not trainable:
            raise ValueError(
                "freeze_to says how much of a network that trains stays as it is: use it with "
                f"trainable=True. Received: freeze_to={freeze_to!r}, trainable={trainable}"
            )
        self.features = MultiScaleFeatures(
            backbone, layers, value_range, image_size, trainable, scales, name="features"
        )
        if freeze_to is not None:
            self.backbone.freeze_to(freeze_to)
        self.channels = int(channels)

    @property
    def backbone(self) -> Any:
        """The copy of the backbone, which gives the layers' outputs."""
        return self.features.backbone

    def build(self, input_shape: Any) -> None:
        self.feature_shapes = [
            tuple(shape[1:]) for shape in self.features.compute_output_shape(tuple(input_shape))
        ]
        self._poolings, self._projections = [], []
        for scale, (height, width, depth) in enumerate(_checked_maps(self.feature_shapes)):
            pool = (math.ceil(height / _POSITIONS), math.ceil(width / _POSITIONS))
            self._poolings.append(
                keras.layers.AveragePooling2D(pool, padding="same", dtype=self.dtype_policy)
            )
            projection = keras.layers.Conv2D(
                self.channels, 1, activation="relu", name=f"scale_{scale}", dtype=self.dtype_policy
            )
            projection.build((None, None, None, depth))
            self._projections.append(projection)
        self.built = True

    def call(self, images: Any, training: bool | None = None) -> Any:
        maps = self.features(images, training=training)
        parts = []
        for pooling, projection, (height, width), each in zip(
            self._poolings, self._projections, self._pooled_sizes(), maps, strict=True
        ):
            x = projection(pooling(keras.ops.cast(each, self.compute_dtype)))
            parts.append(keras.ops.reshape(x, (-1, height * width * self.channels)))
        return keras.ops.concatenate(parts, axis=-1)

    def _pooled_sizes(self) -> list[tuple[int, int]]:
        return [
            (math.ceil(height / pooling.pool_size[0]), math.ceil(width / pooling.pool_size[1]))
            for pooling, (height, width, _) in zip(self._poolings, self.feature_shapes, strict=True)
        ]

    def compute_output_shape(self, input_shape: Any) -> tuple:
        if not self.built:
            self.build(input_shape)
        positions = sum(height * width for height, width in self._pooled_sizes())
        return (input_shape[0], positions * self.channels)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        settings = self.features.get_config()
        # The backbone's own config holds how far it is frozen.
        kept = ("backbone", "layers", "value_range", "image_size", "trainable")
        return {**config, **{key: settings[key] for key in kept}, "channels": self.channels}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> PretrainedEncoder:
        """Make the layer again from what `get_config` returned."""
        return cls(**arguments_from_file(cls, config, backbone=Nested(keras.layers.Layer)))


def _checked_maps(shapes: Sequence[tuple]) -> Sequence[tuple]:
    """Shapes of feature maps whose sizes are known."""
    if any(len(shape) != 3 or None in shape for shape in shapes):
        raise ValueError(
            "The layers must give feature maps [batch, height, width, channels] of known sizes: "
            "name others, or say image_size=(height, width). "
            f"Received: outputs of shapes {[(None, *shape) for shape in shapes]}"
        )
    return shapes
