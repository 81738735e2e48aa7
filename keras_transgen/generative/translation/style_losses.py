"""What makes an image have the content of one and the style of another, as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

_EPSILON = 1e-8

Logs = dict[str, tf.Tensor]
Seen = tuple[Sequence[tf.Tensor], Sequence[tf.Tensor]]


class StyleWeights(NamedTuple):
    """How much each part of the loss counts.

    Attributes:
        content: Of the distance from the content's features.
        style: Of the distance from the style's Gram matrices.
        total_variation: Of the differences between neighbouring pixels.
    """

    content: float
    style: float
    total_variation: float


def checked_weights(content: float, style: float, total_variation: float) -> StyleWeights:
    """The weights, as floats.

    Args:
        content: See `StyleWeights`.
        style: See `StyleWeights`.
        total_variation: See `StyleWeights`.

    Raises:
        ValueError: If one is negative, or content and style are both zero.
    """
    weights = StyleWeights(float(content), float(style), float(total_variation))
    if min(weights) < 0.0 or not (weights.content or weights.style):
        raise ValueError(
            "content_weight, style_weight and total_variation_weight must not be negative, and one "
            f"of the first two must be above 0. Received: content_weight={content}, "
            f"style_weight={style}, total_variation_weight={total_variation}"
        )
    return weights


def gram_matrix(features: Any) -> tf.Tensor:
    """How the channels of a feature map go together, wherever in the image they do.

        G_cd = sum over positions of f_c f_d / (height * width * channels)

    Args:
        features: `[batch, height, width, channels]`.

    Returns:
        Float32 `[batch, channels, channels]`.

    Example:
        ```python
        import numpy as np
        from keras_transgen.generative.translation.style_losses import gram_matrix

        features = np.ones((1, 4, 4, 2), "float32")
        assert np.allclose(gram_matrix(features), 0.5)
        ```

    Reference:
        Gatys, Ecker and Bethge, Image style transfer using convolutional neural networks, 2016,
        with the scale of Johnson, Alahi and Fei-Fei, 2016.
    """
    features = tf.cast(features, tf.float32)
    height, width, channels = tf.unstack(tf.shape(features)[1:])
    count = height * width
    flat = tf.reshape(features, [-1, count, features.shape[-1] or channels])
    return tf.matmul(flat, flat, transpose_a=True) / tf.cast(count * channels, tf.float32)


def normalized_distance(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """Squared distance of each example from another, by the sum of their squared lengths.

        |x - y|^2 / (|x|^2 + |y|^2)

    It is bounded: a dark style does not outweigh a bright one, and an image that is far from its
    style does not make a network leap.

    Args:
        one: `[batch, ...]`.
        other: The same shape, or a batch of one.

    Returns:
        Float32 `[batch]`: from 0 to 2, and to 1 for Gram matrices.

    Reference:
        Cheng et al., Style-aware normalized loss for improving arbitrary style transfer, 2021.
    """
    axes = list(range(1, one.shape.rank))
    squared = tf.reduce_sum(tf.math.squared_difference(one, other), axis=axes)
    lengths = [tf.reduce_sum(tf.square(each), axis=axes) for each in (one, other)]
    return squared / (lengths[0] + lengths[1] + _EPSILON)


def style_objective(
    made: tf.Tensor, seen: Seen, targets: Seen, weights: StyleWeights
) -> tuple[tf.Tensor, Logs]:
    """What is minimised, and its parts: means over the batch.

    Distances are normalised and averaged over the layers, so that one set of weights serves
    networks whose features are of any size.

    Args:
        made: Images `[batch, height, width, channels]`.
        seen: Their features for each content layer, and their Gram matrices for each style layer.
        targets: The features to be kept, and the Gram matrices to be reached.
        weights: How much each part counts.

    Returns:
        The loss, and `content`, `style` and `total_variation`.
    """
    values = tf.cast(tf.reduce_prod(tf.shape(made)[1:]), tf.float32)
    logs = {
        "content": _mean_over_layers(seen[0], targets[0]),
        "style": _mean_over_layers(seen[1], targets[1]),
        "total_variation": tf.reduce_mean(tf.image.total_variation(made)) / values,
    }
    parts = zip(weights, (logs["content"], logs["style"], logs["total_variation"]))
    return tf.add_n([weight * part for weight, part in parts]), logs


def _mean_over_layers(seen: Sequence[tf.Tensor], targets: Sequence[tf.Tensor]) -> tf.Tensor:
    pairs = zip(seen, targets, strict=True)
    distances = [tf.reduce_mean(normalized_distance(one, other)) for one, other in pairs]
    return tf.add_n(distances) / len(distances)
