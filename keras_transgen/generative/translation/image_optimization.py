"""Style transfer without training: the image itself is what the optimizer moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.generative.generative_model import sampling_seed
from keras_transgen.generative.translation.style_features import StyleFeatures
from keras_transgen.generative.translation.style_images import checked_image, covering
from keras_transgen.generative.translation.style_losses import (
    Logs,
    Seen,
    StyleWeights,
    checked_weights,
    style_objective,
)
from keras_transgen.training.compilation import prefers_xla

_RANGE = (0.0, 1.0)
_STARTS = ("content", "noise")


def stylize(
    content: Any,
    style: Any,
    backbone: Any,
    content_layers: Sequence[str] | None = None,
    style_layers: Sequence[str] | None = None,
    steps: int = 300,
    content_weight: float = 1.0,
    style_weight: float = 10.0,
    total_variation_weight: float = 1.0,
    learning_rate: float = 0.02,
    start: str = "content",
    seed: int | None = None,
    jit_compile: bool | str = "auto",
    verbose: int = 1,
) -> np.ndarray:
    """Paint one image in the style of another.

    The pixels are moved, by Adam, until a pretrained network sees the content of one image (the
    features of `content_layers`) and the style of the other (the Gram matrices of `style_layers`).
    Takes minutes on a CPU; `StyleTransfer` learns a style once and paints at once.

    Any backbone serves, but not equally well: networks with few channels, batch normalization and
    strides that skip pixels, such as MobileNet's, give weaker textures than VGG, on which the
    method was made. `vgg_backbone` brings it in, with weights of `keras.applications` (80 MB from
    the network) or of a file:

        backbone = vgg_backbone(weights="imagenet")
        style_layers = [f"block{block}_conv1" for block in range(1, 6)]
        stylize(photo, painting, backbone, ["block4_conv2"], style_layers)

    A network that knows only grey, such as `"digits"`, leaves the colours as they are.

    Args:
        content: `[height, width, 1 or 3]`, uint8, or float in [0, 1].
        style: Another image of any size; it is resized to cover the content's size and cut to it.
        backbone: A backbone, or anything `keras_transgen.load_backbone` takes; it sees the images
            at the content's size.
        content_layers: See `StyleFeatures`, also for the default.
        style_layers: See `StyleFeatures`.
        steps: Of the optimizer.
        content_weight: Of the content's distance. Distances are normalised, see
            `normalized_distance`, so that the same weights serve all networks.
        style_weight: Of the style's distance.
        total_variation_weight: Of the mean absolute difference between neighbouring pixels.
        learning_rate: Of Adam; images lie in [0, 1].
        start: `"content"` or `"noise"`.
        seed: Of the noise; `None` for another each time.
        jit_compile: `True`, `False`, or `"auto"`: where a GPU is visible.
        verbose: 1 for a progress bar, 0 for silence.

    Returns:
        An image of the content's shape: uint8 if the content is, else float32 in [0, 1].

    Raises:
        ValueError: If an image is none, the style is too small for the deepest layer, there is no
            such layer, or an argument is out of its range.

    Example:
        ```python
        import numpy as np
        import keras_transgen as ktg
        from keras_transgen.generative.translation import stylize

        images, _ = ktg.datasets.load_digits()
        stripes = np.zeros((16, 16, 1), "float32")
        stripes[::2] = 1.0
        image = stylize(
            images[0], stripes, "digits", ["block2_pool"], ["block1_a_relu"], steps=3, verbose=0
        )
        assert image.shape == images[0].shape
        ```

    Reference:
        Gatys, Ecker and Bethge, Image style transfer using convolutional neural networks, 2016.
    """
    weights = checked_weights(content_weight, style_weight, total_variation_weight)
    if steps < 1 or start not in _STARTS:
        raise ValueError(
            f"steps must be at least 1 and start one of {list(_STARTS)}. "
            f"Received: steps={steps}, start={start!r}"
        )
    pixels = checked_image(content, "content", _RANGE)
    painting = checked_image(style, "style", _RANGE)
    size = (pixels.shape[0], pixels.shape[1])
    features = StyleFeatures(backbone, content_layers, style_layers, _RANGE, size)
    features.check_style(*painting.shape[:2])
    targets = (
        features(pixels[None])[0],
        features(covering(painting, pixels.shape)[None])[1],
    )
    first = pixels if start == "content" else _noise(pixels.shape, seed)
    image = keras.Variable(first[None], dtype="float32", name="image")
    optimizer = keras.optimizers.Adam(learning_rate)
    optimizer.build([image])
    compiles = prefers_xla(features) if jit_compile == "auto" else bool(jit_compile)

    @tf.function(jit_compile=compiles, autograph=False)
    def step() -> Logs:
        return gradient_step(image, optimizer, features, targets, weights)

    progress = keras.utils.Progbar(
        steps, verbose=verbose, stateful_metrics=["loss", "content", "style", "total_variation"]
    )
    for number in range(1, steps + 1):
        logs = step()
        if verbose:
            progress.update(number, [(name, float(value)) for name, value in logs.items()])
    made = image.numpy()[0]
    if not np.isfinite(made).all():
        raise ArithmeticError(
            "The image is not finite any more: lower learning_rate, or see whether the network "
            f"takes float32 images. Received: learning_rate={learning_rate}"
        )
    if np.asarray(content).dtype == np.uint8:
        return np.round(made * 255.0).astype("uint8")
    return made


def gradient_step(
    image: keras.Variable,
    optimizer: keras.optimizers.Optimizer,
    features: StyleFeatures,
    targets: Seen,
    weights: StyleWeights,
) -> Logs:
    """Move an image by one step and keep it in its range.

    Args:
        image: `[1, height, width, channels]`.
        optimizer: Built for it.
        features: What sees the image.
        targets: Features of the content and Gram matrices of the style.
        weights: Of the parts of the loss.

    Returns:
        The loss before the step and its parts.
    """
    value = tf.convert_to_tensor(image.value)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(value)
        loss, logs = style_objective(value, features(value), targets, weights)
    optimizer.apply([tape.gradient(loss, value)], [image])
    image.assign(tf.clip_by_value(image.value, *_RANGE))
    return {"loss": loss, **logs}


def _noise(shape: tuple[int, ...], seed: int | None) -> np.ndarray:
    return tf.random.stateless_uniform(shape, sampling_seed(seed)).numpy()
