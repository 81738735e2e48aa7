"""A network that adds to a spoilt image what it lacks, and to a small one what bicubic cannot."""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.generative.networks.unet import enlargement


@keras.saving.register_keras_serializable(package="keras_transgen")
class BicubicUpscaling(keras.layers.Layer):
    """Images enlarged by a whole factor, as `tf.image.resize(..., method="bicubic")` does; float32.

    Resizing is linear and treats rows and columns alike, so two small matrices do it, taken from
    TensorFlow's own by resizing the unit matrix. XLA has no bicubic resizing but knows products.
    Height and width must be known.

    Reference:
        Keys, Cubic convolution interpolation for digital image processing, 1981.
    """

    def __init__(self, factor: int = 2, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.factor = factor

    def call(self, inputs: Any) -> Any:
        if self.factor == 1:
            return inputs
        height, width = inputs.shape[1:3]
        rows, columns = (_resizing(side, side * self.factor) for side in (height, width))
        tall = keras.ops.einsum("yh,bhwc->bywc", keras.ops.convert_to_tensor(rows), inputs)
        return keras.ops.einsum("xw,bywc->byxc", keras.ops.convert_to_tensor(columns), tall)

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, height, width, channels = input_shape
        return (batch, height * self.factor, width * self.factor, channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable(package="keras_transgen")
class SubPixels(keras.layers.Layer):
    """Channels laid out as pixels: `factor * factor` values of a place become a square.

    Reference:
        Shi et al., Real-time single image and video super-resolution using an efficient sub-pixel
        convolutional neural network, 2016.
    """

    def __init__(self, factor: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs: Any) -> Any:
        return inputs if self.factor == 1 else keras.ops.depth_to_space(inputs, self.factor)

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, height, width, channels = input_shape
        factor = self.factor
        return (batch, height * factor, width * factor, channels // factor**2)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


def residual_enhancer(
    image_shape: tuple[int, ...],
    target_shape: tuple[int, ...],
    filters: int = 32,
    blocks: int = 4,
    mask_range: tuple[float, float] | None = None,
) -> keras.Model:
    """A network of residual blocks whose output is added to its input, enlarged by bicubic.

    All layers work on the small image. The last one starts at zero, so that an untrained network
    gives its input (enlarged) and training can only add to it. There is no normalisation, which
    would take the image's brightness away.

    Args:
        image_shape: `(height, width, channels)` of the spoilt image; a channel more than that of
            the clean one is a mask of missing pixels.
        target_shape: The same of the clean one; larger by a whole number or equal.
        filters: Channels of the layers.
        blocks: Residual blocks of two convolutions.
        mask_range: The mask's values `(known, missing)`, where only missing pixels may be changed;
            `None` where the others are spoilt too, or there is no mask.

    Returns:
        A model from `[batch, *image_shape]` to `[batch, *target_shape]`, float32, not clipped.

    Raises:
        ValueError: If sizes or channels do not fit together, or a number is below 1.

    Example:
        ```python
        import numpy as np
        from keras_transgen.generative.networks.residual_enhancer import residual_enhancer

        network = residual_enhancer((8, 8, 3), (16, 16, 3), filters=4, blocks=1)
        made = network(np.full((1, 8, 8, 3), 0.5, "float32"))
        assert abs(float(made[0, 7, 7, 0]) - 0.5) < 1e-5
        ```

    Reference:
        Zhang et al., Beyond a Gaussian denoiser: residual learning of deep CNN for image denoising,
        2017; Shi et al., Real-time single image and video super-resolution using an efficient
        sub-pixel convolutional neural network, 2016; Lim et al., Enhanced deep residual networks
        for single image super-resolution, 2017 (blocks without normalisation).
    """
    factor = enlargement(image_shape, target_shape)
    channels = target_shape[2]
    masked = image_shape[2] == channels + 1
    if image_shape[2] != channels and not masked:
        raise ValueError(
            "The enhancer keeps an image's channels, and takes a mask as a further one. Hand in "
            "generator= of your own for others. Received: "
            f"image_shape={tuple(image_shape)}, target_shape={tuple(target_shape)}"
        )
    if mask_range is not None and (not masked or factor > 1):
        raise ValueError(
            "Only missing pixels can be changed where there is a mask of the clean image's size. "
            f"Received: mask_range={mask_range}, image_shape={tuple(image_shape)}, "
            f"target_shape={tuple(target_shape)}"
        )
    if filters < 1 or blocks < 1:
        raise ValueError(
            f"filters and blocks must be at least 1. Received: filters={filters}, blocks={blocks}"
        )

    def convolved(x: Any, width: int = filters, **options: Any) -> Any:
        return keras.layers.Conv2D(width, 3, padding="same", **options)(x)

    given = keras.Input(tuple(image_shape), name="image")
    features = convolved(given)
    x = features
    for _ in range(blocks):
        inner = convolved(keras.layers.ReLU()(convolved(x)))
        x = keras.layers.Add()([x, inner])
    x = keras.layers.Add()([features, convolved(x)])
    x = convolved(x, channels * factor**2, kernel_initializer="zeros", dtype="float32")
    missing = SubPixels(factor, dtype="float32")(x)
    image, mask = (given[..., :channels], given[..., channels:]) if masked else (given, None)
    if mask_range is not None:
        known, gone = mask_range
        scaling = keras.layers.Rescaling(
            1.0 / (gone - known), -known / (gone - known), dtype="float32"
        )
        missing = keras.layers.Multiply(dtype="float32")([missing, scaling(mask)])
    base = BicubicUpscaling(factor)(image)
    made = keras.layers.Add(dtype="float32", name="made")([base, missing])
    return keras.Model(given, made, name="generator")


@functools.lru_cache(maxsize=32)
def _resizing(side: int, larger: int) -> np.ndarray:
    """The matrix `[larger, side]` by which bicubic resizing multiplies a column of pixels."""
    unit = np.eye(side, dtype="float32")[:, :, None]
    # Also where a graph is being traced, since the matrix is a constant of it.
    with tf.init_scope():
        return tf.image.resize(unit, (larger, side), method="bicubic")[..., 0].numpy()
