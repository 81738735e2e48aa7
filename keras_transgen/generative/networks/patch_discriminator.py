"""A discriminator that judges patches of an image, each by a logit of its own."""

from __future__ import annotations

import keras

from keras_transgen.generative.networks.normalization import normalized
from keras_transgen.generative.networks.unet import enlargement

_WIDEST = 8
_MOST_HALVINGS = 3
_FEWEST_LOGITS = 4


def patch_discriminator(
    image_shape: tuple[int, ...] = (256, 256, 3),
    condition_shape: tuple[int, ...] | None = None,
    filters: int = 64,
    halvings: int | None = None,
    normalization: str | None = "instance",
) -> keras.Model:
    """Convolutions that halve the image and end in a map of logits, one for each patch.

    With three halvings a logit sees 70 x 70 pixels.

    Args:
        image_shape: `(height, width, channels)` of what is judged.
        condition_shape: The same of the image it was made from, of equal size or smaller by a whole
            number; `None` for a discriminator that sees the image alone.
        filters: Channels after the first convolution; doubled at each one after, up to eight times.
        halvings: Convolutions of stride 2; by default three, or as many as leave four logits a
            side.
        normalization: `"instance"` or `None`; `"batch"` makes each logit depend on other images.

    Returns:
        A model from `[batch, *image_shape]`, or from the list `[condition, image]`, to logits
        `[batch, rows, columns, 1]`, float32.

    Reference:
        Isola et al., Image-to-image translation with conditional adversarial networks, 2017.
    """
    if len(image_shape) != 3 or min(image_shape[:2]) < 2 * _FEWEST_LOGITS:
        raise ValueError(
            "A discriminator of patches needs images (height, width, channels) of at least "
            f"{2 * _FEWEST_LOGITS} pixels a side. Received: image_shape={tuple(image_shape)}"
        )
    if halvings is None:
        halvings = min(_MOST_HALVINGS, (min(image_shape[:2]) // _FEWEST_LOGITS).bit_length() - 1)
    image = keras.Input(tuple(image_shape), name="image")
    inputs, x = image, image
    if condition_shape is not None:
        condition = keras.Input(tuple(condition_shape), name="condition")
        factor = enlargement(condition_shape, image_shape)
        shown = keras.layers.UpSampling2D(factor)(condition) if factor > 1 else condition
        inputs, x = [condition, image], keras.layers.Concatenate()([shown, image])
    for level in range(halvings + 1):
        kind = normalization if level else None
        x = keras.layers.Conv2D(
            filters * min(2**level, _WIDEST),
            4,
            strides=2 if level < halvings else 1,
            padding="same",
            use_bias=kind is None,
        )(x)
        x = keras.layers.LeakyReLU(0.2)(normalized(x, kind))
    # Sums in half precision would coarsen the logits.
    logits = keras.layers.Conv2D(1, 4, padding="same", dtype="float32", name="logits")(x)
    return keras.Model(inputs, logits, name="discriminator")
