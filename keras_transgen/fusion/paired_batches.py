"""Batches in which every example, shown without a label, comes beside one that has a label."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf

from keras_transgen.training.batches import batches_in_order
from keras_transgen.training.progress import Progress

NO_LABEL = -1


def paired_batches(
    examples: np.ndarray,
    labelled: np.ndarray,
    labels: np.ndarray,
    batch_size: int,
    progress: Progress,
    shuffle: bool = True,
) -> tf.data.Dataset:
    """Batches of up to `2 * batch_size` rows: example, labelled example, example, and so on.

    An epoch is one pass over the examples. The labelled ones come in turns, all of them before one
    comes again, in an order drawn anew for every turn. Orders are functions of the run's seed and
    the epoch's first step, so that a resumed run sees what the first would have seen. Replicas
    split a batch between pairs where its half can be split evenly.

    Args:
        examples: All examples, `[count, ...]`.
        labelled: Those that have labels, `[some, ...]`, of the same type.
        labels: Their classes, integers `[some]`.
        batch_size: Pairs a batch, over all replicas; the last one may have fewer.
        progress: The run's counters.
        shuffle: Whether the order is drawn; else it is that of the arrays.

    Returns:
        `(x, y)`; y is int32 and `NO_LABEL` for rows that come without a label.
    """
    rows, few = len(examples), len(labelled)
    every, some = tf.convert_to_tensor(examples), tf.convert_to_tensor(labelled)
    classes = tf.constant(labels, tf.int32)

    def drawn() -> np.ndarray:
        turns = math.ceil(rows / few)
        if not shuffle:
            return np.stack([np.arange(rows), np.tile(np.arange(few), turns)[:rows]], axis=1)
        rng = np.random.default_rng(
            [int(progress.seed.numpy()) & 0xFFFFFFFF, progress.epoch_start()]
        )
        order = rng.permutation(rows)
        picks = np.concatenate([rng.permutation(few) for _ in range(turns)])[:rows]
        return np.stack([order, picks], axis=1)

    def ordered(_: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(tf.numpy_function(drawn, [], tf.int64), [rows, 2])

    def gather(pairs: tf.Tensor) -> tuple[Any, Any]:
        x = tf.stack([tf.gather(every, pairs[:, 0]), tf.gather(some, pairs[:, 1])], axis=1)
        chosen = tf.gather(classes, pairs[:, 1])
        y = tf.stack([tf.fill(tf.shape(chosen), NO_LABEL), chosen], axis=1)
        return tf.reshape(x, [-1, *every.shape[1:]]), tf.reshape(y, [-1])

    return batches_in_order(ordered, gather, rows, batch_size)
