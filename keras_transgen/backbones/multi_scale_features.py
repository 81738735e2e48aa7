"""A backbone's feature maps at several scales, from images as a generative model has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_transgen.backbones.backbone import Backbone
from keras_transgen.backbones.image_channels import with_channels
from keras_transgen.backbones.layer_scales import layers_by_scale
from keras_transgen.backbones.load import load_backbone
from keras_transgen.backbones.unknown_range import warn_of_unknown_range
from keras_transgen.training.config_from_file import Nested, arguments_from_file


@keras.saving.register_keras_serializable(package="keras_transgen")
class MultiScaleFeatures(keras.layers.Layer):
    """Images in any value range through a pretrained network, to the outputs of its layers.

    Images are brought to what the network takes: their values to its range, their size to its
    size, grey ones repeated to its channels, colour ones made grey where it knows only grey. What
    the layers do not need is not computed.

    Unless `trainable`, the network stays frozen and in inference mode whatever the model around
    says, also where that is set trainable as a whole; gradients flow through it to the images.

    Args:
        backbone: A backbone, or anything `keras_transgen.load_backbone` takes. It is copied, so it
            may be used elsewhere, unless it is such a copy itself (`backbone.tap`).
        layers: Names of layers (`backbone.layer_names()` lists them). Defaults to the last layer of
            each scale.
        value_range: `(low, high)` of the images. They are mapped to the backbone's own range; of a
            Keras network that does not tell it a warning says so, and `(0.0, 1.0)` is taken.
        image_size: `(height, width)` at which the network sees the images. Defaults to the size
            that it was made for, or the images' own where it takes any. A smaller one is faster:
            convolutions compute at any size.
        trainable: Whether the network's parameters are trained.
        scales: How many of the coarsest scales to take where `layers` are not given. Defaults to
            all.
        **kwargs: Passed to `keras.layers.Layer`.

    Call arguments:
        images: `[batch, height, width, channels]`, grey, in colour, or of the network's channels.

    Output shape:
        A list of `[batch, height, width, channels]`, one for each layer.

    Raises:
        ValueError: There is no such layer, or the network has no feature maps.

    Example:
        ```python
        import numpy as np
        from keras_transgen.backbones.multi_scale_features import MultiScaleFeatures

        features = MultiScaleFeatures("digits", ["block1_pool", "block2_pool"])
        first, second = features(np.zeros((2, 8, 8, 1), "float32"))
        assert first.shape[1] == 2 * second.shape[1]
        ```
    """

    def __init__(
        self,
        backbone: Any,
        layers: Sequence[str] | None = None,
        value_range: tuple[float, float] = (-1.0, 1.0),
        image_size: tuple[int, int] | None = None,
        trainable: bool = False,
        scales: int | None = None,
        **kwargs: Any,
    ) -> None:
        # Images must not be coarsened by a half-precision policy on their way in.
        super().__init__(autocast=False, **kwargs)
        low, high = value_range
        if not low < high:
            raise ValueError(
                "value_range must be (low, high) with low < high. "
                f"Received: value_range={value_range}"
            )
        whole = load_backbone(backbone)
        warn_of_unknown_range(whole, "KerasBackbone(model, value_range=(0, 255))")
        self.layer_names = (
            layers_by_scale(whole.layer_reductions(), scales) if layers is None else list(layers)
        )
        self.value_range = (float(low), float(high))
        self.image_size = None if image_size is None else (image_size[0], image_size[1])
        self._trains = bool(trainable)
        self.backbone = _tapped(whole, self.layer_names, self.image_size)
        if self.backbone.trainable != self._trains:
            self.backbone.trainable = self._trains
        contract = self.backbone.input_contract
        shape = contract.shape or (None,) * 4
        self._size: Any = None if None in shape[1:3] else (shape[1], shape[2])
        self._channels = shape[3]
        self._range = contract.value_range or (0.0, 1.0)
        self.built = True

    @property
    def trainable(self) -> bool:
        """Whether the network's parameters are trained; never unless it was said at the start."""
        return getattr(self, "_trains", False) and self.backbone.trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        # Keras sets every layer of a model that is set trainable; a frozen network stays so.
        if getattr(self, "_trains", False):
            self.backbone.trainable = value

    def prepared(self, images: Any) -> Any:
        """Images as the network takes them, float32."""
        images = keras.ops.cast(images, "float32")
        (low, high), (bottom, top) = self.value_range, self._range
        if (low, high) != (bottom, top):
            images = (images - low) * ((top - bottom) / (high - low)) + bottom
        images = with_channels(images, self._channels)
        if self._size is None or tuple(images.shape[1:3]) == self._size:
            return images
        return _resized(images, self._size)

    def call(self, images: Any, training: bool | None = None) -> list[Any]:
        outputs = self.backbone(self.prepared(images), training=bool(training) and self._trains)
        return list(outputs)

    def compute_output_spec(self, images: Any, training: bool | None = None) -> list[Any]:
        shape = (images.shape[0], *(self._size or images.shape[1:3]))
        channels = self._channels or images.shape[-1]
        return list(
            self.backbone.compute_output_spec(keras.KerasTensor((*shape, channels), "float32"))
        )

    def compute_output_shape(self, input_shape: Any) -> list[tuple]:
        spec = self.compute_output_spec(keras.KerasTensor(input_shape, "float32"))
        return [tuple(each.shape) for each in spec]

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("autocast", None)
        return {
            **config,
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "layers": self.layer_names,
            "value_range": self.value_range,
            "image_size": self.image_size,
            "trainable": self._trains,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MultiScaleFeatures:
        """Make the layer again from what `get_config` returned."""
        return cls(**arguments_from_file(cls, config, backbone=Nested(keras.layers.Layer)))


def _tapped(backbone: Backbone, layers: list[str], image_size: tuple[int, int] | None) -> Backbone:
    """The backbone itself where it gives these outputs already, else a copy that does."""
    given = getattr(backbone, "layers", None) or getattr(backbone, "output_layers", None)
    shape = getattr(backbone.input_contract, "shape", None) or (None,) * 4
    if given == layers and image_size in (None, tuple(shape[1:3])):
        return backbone
    return backbone.tap(layers, image_size)


def _resized(images: Any, size: tuple[int, int]) -> Any:
    """Means of whole blocks where the size is a divisor, since it hides no detail; else linear."""
    height, width = images.shape[1:3]
    factors = (height // size[0], width // size[1])
    if min(factors) >= 1 and (factors[0] * size[0], factors[1] * size[1]) == (height, width):
        return keras.ops.average_pool(images, factors, strides=factors)
    return keras.ops.image.resize(images, size, interpolation="bilinear")
