"""A generator from images to images whose encoder is a pretrained network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_transgen.backbones.multi_scale_features import MultiScaleFeatures
from keras_transgen.fusion.decoding_by_scale import enlarging
from keras_transgen.generative.networks.normalization import normalized
from keras_transgen.generative.networks.unet import enlargement
from keras_transgen.generative.networks.value_range import InValueRange

_WIDEST = 8
_NOISY_LEVELS = 3


def backbone_generator(
    backbone: Any,
    image_shape: tuple[int, ...] = (128, 128, 3),
    target_shape: tuple[int, ...] | None = None,
    layers: Sequence[str] | None = None,
    image_size: tuple[int, int] | None = None,
    trainable: bool = False,
    filters: int = 64,
    normalization: str | None = "instance",
    noise: bool = True,
    value_range: tuple[float, float] = (-1.0, 1.0),
) -> keras.Model:
    """A U-Net whose way down is a backbone, with bridges from its layers at every scale.

    The way up starts at the coarsest feature map, enlarges to the size of the next finer one,
    convolves, and puts that map beside, brought to the same channels by a 1x1 convolution; the last
    bridge is the image itself, which a backbone's layers have lost at full size. So it fits any
    backbone, whatever its sizes.

    The noise is that of `unet_generator`: further inputs, masks by which the deepest maps are
    multiplied. The model goes into `Pix2Pix(generator=...)`.

    Args:
        backbone: A backbone, or anything `keras_transgen.load_backbone` takes. It is copied.
        image_shape: `(height, width, channels)` of the input; grey ones are repeated.
        target_shape: The same of the output; larger by a whole number or equal, as by default.
        layers: Names of the backbone's layers, from fine to coarse. Defaults to the last layer of
            each scale.
        image_size: `(height, width)` at which the backbone sees the images. Defaults to their own
            size.
        trainable: Whether the backbone's parameters train with the rest. With a SavedModel give the
            translator `ema_decay=None` then: a module computes with its own parameters, which an
            average cannot take the place of.
        filters: Channels of the way up at half the size; doubled at each coarser scale, up to eight
            times. Defaults to 64.
        normalization: Of the way up: `"instance"`, `"batch"` or `None`.
        noise: Whether the network takes dropout masks at the three deepest levels of the way up.
        value_range: `(low, high)` of the images on both sides. Defaults to `(-1.0, 1.0)`.

    Returns:
        A model from `[batch, *image_shape]`, or a list of it and the masks, to
        `[batch, *target_shape]`, float32.

    Raises:
        ValueError: There is no such layer, the layers are not given from fine to coarse, or the
            sizes do not fit together.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.fusion import backbone_generator
        from keras_transgen.generative.translation import Pix2Pix

        images, _ = ktg.datasets.load_digits()
        generator = backbone_generator("digits", (8, 8, 1), filters=4, value_range=(0.0, 1.0))
        model = Pix2Pix(generator=generator, filters=4, value_range=(0.0, 1.0))
        model.fit(images[:64], 1.0 - images[:64], epochs=1, verbose=0)
        ```

    Reference:
        Ronneberger, Fischer and Brox, U-Net, 2015; Iglovikov and Shvets, TernausNet: U-Net with
        VGG11 encoder pre-trained on ImageNet, 2018.
    """
    image_shape = tuple(image_shape)
    target_shape = tuple(target_shape or image_shape)
    if len(image_shape) != 3 or len(target_shape) != 3:
        raise ValueError(
            "image_shape and target_shape must be (height, width, channels). "
            f"Received: image_shape={image_shape}, target_shape={target_shape}"
        )
    enlargement(image_shape, target_shape)
    size = (image_shape[0], image_shape[1]) if image_size is None else image_size
    encoder = MultiScaleFeatures(
        backbone, layers, value_range, size, trainable=trainable, name="backbone"
    )
    image = keras.Input(image_shape, name="image")
    *bridges, x = _fine_to_coarse(encoder(image), encoder.layer_names)
    masks: list[Any] = []

    def convolved(x: Any, width: int, noisy: bool = False) -> Any:
        x = keras.layers.Conv2D(width, 3, padding="same", use_bias=normalization is None)(x)
        x = normalized(x, normalization)
        if noisy and noise and len(masks) < _NOISY_LEVELS:
            masks.append(keras.Input(tuple(x.shape[1:]), name=f"mask_{len(masks)}"))
            x = keras.layers.Multiply()([x, masks[-1]])
        return keras.layers.ReLU()(x)

    widths = [filters * min(2**level, _WIDEST) for level in range(len(bridges) + 1)]
    x = convolved(x, widths[-1])
    for bridge, width in reversed(list(zip(bridges, widths))):
        x = convolved(_resized(x, bridge.shape[1:3]), width, noisy=True)
        bridge = keras.layers.Conv2D(width, 1, activation="relu")(bridge)
        x = keras.layers.Concatenate()([x, bridge])
    width = max(filters // 2, 1)
    seen = keras.layers.Conv2D(width, 3, padding="same", activation="relu")(image)
    x = convolved(_resized(x, target_shape[:2]), width)
    x = keras.layers.Concatenate()([x, _resized(seen, target_shape[:2])])
    x = keras.layers.Conv2D(target_shape[2], 3, padding="same")(x)
    x = InValueRange(value_range, name="made")(x)
    return keras.Model([image, *masks] if masks else image, x, name="generator")


def _fine_to_coarse(maps: Sequence[Any], names: Sequence[str]) -> Sequence[Any]:
    sizes = [tuple(each.shape[1:3]) for each in maps]
    known = all(len(each.shape) == 4 and None not in each.shape[1:] for each in maps)
    if not known or sizes != sorted(sizes, reverse=True) or len(set(sizes)) < len(sizes):
        raise ValueError(
            "The layers must give feature maps of known sizes, each smaller than the one before: "
            "name one layer of each scale, from fine to coarse. "
            f"Received: layers={list(names)} with outputs {[tuple(each.shape) for each in maps]}"
        )
    return maps


def _resized(x: Any, size: Sequence[int]) -> Any:
    if tuple(x.shape[1:3]) == tuple(size):
        return x
    return enlarging(x.shape[1:3], size)(x)
