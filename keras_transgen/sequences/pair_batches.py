"""Pairs of sequences in batches of about equally many tokens, of few shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_transgen.sequences.token_rows import same_length
from keras_transgen.training.batches import ends_promptly
from keras_transgen.training.progress import Progress

# Widths are rounded up to multiples of it.
_WIDTHS = 8
_MOST_BUCKETS = 4


class Pairs(NamedTuple):
    """Tokens of sources and targets, each row with its special tokens."""

    sources: list[list[int]]
    targets: list[list[int]]


class Bucket(NamedTuple):
    """Pairs of similar lengths.

    Attributes:
        rows: Their numbers.
        source_width: Of their batches.
        target_width: The same for the targets.
        batch_size: Rows of a batch.
    """

    rows: np.ndarray
    source_width: int
    target_width: int
    batch_size: int


def buckets(
    pairs: Pairs, batch_tokens: int, batch_size: int | None = None, replicas: int = 1
) -> list[Bucket]:
    """Pairs by their lengths, at most four groups, each with one shape of batch.

    Args:
        pairs: The pairs.
        batch_tokens: About so many tokens has the wider side of a batch, padding included.
        batch_size: Rows of every batch instead.
        replicas: Of which each gets rows of every batch.
    """
    lengths = np.array([[len(s), len(t)] for s, t in zip(*pairs)])
    longest = lengths.max(axis=1)
    edges = np.quantile(longest, np.arange(1, _MOST_BUCKETS + 1) / _MOST_BUCKETS)
    widths = sorted({_WIDTHS * math.ceil(edge / _WIDTHS) for edge in edges})
    found = []
    for low, high in zip([0, *widths[:-1]], widths):
        rows = np.flatnonzero((low < longest) & (longest <= high))
        if not len(rows):
            continue
        source, target = (_WIDTHS * math.ceil(each / _WIDTHS) for each in lengths[rows].max(0))
        size = batch_size or max(1, batch_tokens // max(source, target))
        size = min(size, len(rows))
        found.append(Bucket(rows, source, target, replicas * math.ceil(size / replicas)))
    return found


def pair_batches(
    pairs: Pairs, grouped: Sequence[Bucket], progress: Progress | None = None
) -> tf.data.Dataset:
    """Batches `(sources, targets)` of int32 `[rows, width]`; rows of padding fill the last ones.

    Args:
        pairs: The pairs.
        grouped: What `buckets` gave.
        progress: The run's counters, by whose seed and step each epoch has its own order; `None`
            for the order of lengths.
    """
    widest = max(bucket.batch_size for bucket in grouped)
    # One more row, of padding, which is what batches are filled with.
    nobody = len(pairs.sources)
    sources = tf.constant(same_length([*pairs.sources, []]))
    targets = tf.constant(same_length([*pairs.targets, []]))
    count = sum(math.ceil(len(each.rows) / each.batch_size) for each in grouped)

    def plan() -> np.ndarray:
        """For each batch its rows, how many they are, and its widths."""
        draws = None
        if progress is not None:
            key = [int(progress.seed.numpy()) & 0xFFFFFFFF, progress.epoch_start()]
            draws = np.random.default_rng(key)
        batches = np.full((count, widest + 3), nobody, "int32")
        number = 0
        for bucket in grouped:
            rows = bucket.rows if draws is None else draws.permutation(bucket.rows)
            for begin in range(0, len(rows), bucket.batch_size):
                chosen = rows[begin : begin + bucket.batch_size]
                batches[number, : len(chosen)] = chosen
                batches[number, widest:] = (
                    bucket.batch_size,
                    bucket.source_width,
                    bucket.target_width,
                )
                number += 1
        return batches if draws is None else batches[draws.permutation(count)]

    def planned(_: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(tf.numpy_function(plan, [], tf.int32), [count, widest + 3])

    def gathered(batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        size, source_width, target_width = tf.unstack(batch[widest:])
        rows = batch[:size]
        return (
            tf.gather(sources[:, :source_width], rows),
            tf.gather(targets[:, :target_width], rows),
        )

    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    batches = (
        tf.data.Dataset.range(1)
        .map(planned)
        .flat_map(tf.data.Dataset.from_tensor_slices)
        .map(gathered, num_parallel_calls=tf.data.AUTOTUNE)
        .apply(tf.data.experimental.assert_cardinality(count))
        .prefetch(tf.data.AUTOTUNE)
    )
    return ends_promptly(batches.with_options(options))
