"""Dropout drawn outside of the network that it acts in, so that it is a function of a seed."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

Shapes = Sequence[tuple[int, ...]]


def batch_masks(
    shapes: Shapes, size: tf.Tensor, dropout: float, seed: tf.Tensor
) -> tuple[tf.Tensor, ...]:
    """Masks for a batch: zero with probability `dropout`, else `1 / (1 - dropout)`.

    Float32 `[size, *shape]` for each of the shapes.
    """
    if not dropout:
        return neutral_masks(shapes, size)
    return tuple(
        _mask([size, *shape], dropout, tf.random.experimental.stateless_fold_in(seed, number))
        for number, shape in enumerate(shapes)
    )


def example_masks(
    shapes: Shapes, indices: tf.Tensor, dropout: float, seed: tf.Tensor
) -> tuple[tf.Tensor, ...]:
    """Masks that depend on the seed and on an example's number, not on the batch it is in."""
    if not dropout or not shapes:
        return neutral_masks(shapes, tf.size(indices))

    def of_example(index: tf.Tensor) -> tuple[tf.Tensor, ...]:
        own = tf.random.experimental.stateless_fold_in(seed, index)
        return tuple(mask[0] for mask in batch_masks(shapes, tf.constant(1), dropout, own))

    kinds = tuple(tf.TensorSpec(shape, tf.float32) for shape in shapes)
    return tuple(tf.map_fn(of_example, indices, fn_output_signature=kinds))


def neutral_masks(shapes: Shapes, size: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Masks of ones, which change nothing: for evaluation."""
    return tuple(tf.ones([size, *shape]) for shape in shapes)


def _mask(shape: list, dropout: float, seed: tf.Tensor) -> tf.Tensor:
    kept = tf.random.stateless_uniform(shape, seed) >= dropout
    return tf.cast(kept, tf.float32) / (1.0 - dropout)
