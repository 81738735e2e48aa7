"""What makes an image have the content of one and the style of another, as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from keras_transgen.training.counts import check_weights

_EPSILON = 1e-8

Logs = dict[str, tf.Tensor]
Seen = tuple[Sequence[tf.Tensor], Sequence[tf.Tensor]]


class StyleWeights(NamedTuple):
    """How much each part of the loss counts; see `style_objective`."""

    content: float
    style: float
    total_variation: float


def checked_weights(content: float, style: float, total_variation: float) -> StyleWeights:
    """The weights, as floats; none negative, and not both of content and style zero."""
    check_weights(
        content_weight=content, style_weight=style, total_variation_weight=total_variation
    )
    weights = StyleWeights(float(content), float(style), float(total_variation))
    if not (weights.content or weights.style):
        raise ValueError(
            "content_weight or style_weight must be above 0. Received: "
            f"content_weight={content}, style_weight={style}"
        )
    return weights


def gram_matrix(features: Any) -> tf.Tensor:
    """How often two channels of `[batch, height, width, channels]` fire together, wherever they do.

        G_cd = sum over positions of f_c f_d / (height * width * channels)

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

    It is bounded, by 2, and for Gram matrices by 1: a dark style does not outweigh a bright one,
    and an image that is far from its style does not make a network leap.

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
