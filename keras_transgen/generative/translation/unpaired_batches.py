"""Batches of two sets of images that have nothing to do with each other but the batch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf

from keras_transgen.training.batches import batches_in_order
from keras_transgen.training.progress import Progress


def unpaired_batches(
    a: Any, b: Any, batch_size: int, progress: Progress | None = None
) -> tf.data.Dataset:
    """Batches `(a, b)` of two arrays of any lengths.

    An epoch shows every image of the longer array once; the shorter one begins again, in another
    order, as often as it must. With `progress` both are shuffled anew each epoch, independently, by
    the run's seed and the epoch's first step: who meets whom is chance, also where the arrays have
    equal lengths. Without, both come in their own order.
    """
    lengths = (len(a), len(b))
    rows = max(lengths)
    tensors = (tf.convert_to_tensor(a), tf.convert_to_tensor(b))

    def orders() -> np.ndarray:
        if progress is None:
            return np.stack([np.arange(rows) % length for length in lengths], axis=1)
        seed = int(progress.seed.numpy()) & 0xFFFFFFFF
        rng = np.random.default_rng([seed, progress.epoch_start()])
        return np.stack([_repeated(rng, length, rows) for length in lengths], axis=1)

    def ordered(_: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(tf.numpy_function(orders, [], tf.int64), [rows, 2])

    def gather(indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tuple(tf.gather(t, indices[:, side]) for side, t in enumerate(tensors))

    return batches_in_order(ordered, gather, rows, batch_size)


def _repeated(rng: np.random.Generator, length: int, rows: int) -> np.ndarray:
    rounds = math.ceil(rows / length)
    return np.concatenate([rng.permutation(length) for _ in range(rounds)])[:rows]
