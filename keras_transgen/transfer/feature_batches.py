"""Cached features in batches, read from the disk as they are needed."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from keras_transgen.training.progress import Progress
from keras_transgen.transfer.cached_features import CachedFeatures

# Rows that lie together on the disk are read together; blocks and the rows within are shuffled.
_BLOCK_ROWS = 4096


class FeatureBatches(keras.utils.PyDataset):
    """Batches of `(features, labels, weights)` from a memory-mapped cache.

    Args:
        found: The features.
        batch_size: Rows a batch.
        shuffle: Whether each epoch takes another order, given by the run's seed and step.
        progress: The counters of the run.
    """

    def __init__(
        self, found: CachedFeatures, batch_size: int, shuffle: bool, progress: Progress
    ) -> None:
        super().__init__()
        self._found = found
        self._batch_size = batch_size
        self._shuffle = shuffle
        self._progress = progress
        self._order: np.ndarray | None = None

    def on_epoch_begin(self) -> None:
        """Draw the epoch's order; Keras calls this before it takes the first batch."""
        if self._shuffle:
            key = [int(self._progress.seed.numpy()) & 0xFFFFFFFF, self._progress.epoch_start()]
            self._order = _order(len(self._found.labels), np.random.default_rng(key))

    @property
    def num_batches(self) -> int:
        """Batches in an epoch."""
        return math.ceil(len(self._found.labels) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[Any, Any, Any]:
        rows: Any = slice(index * self._batch_size, (index + 1) * self._batch_size)
        if self._order is not None:
            # Ascending, which is how a disk reads best.
            rows = np.sort(self._order[rows])
        found = self._found
        return np.asarray(found.features[rows]), found.labels[rows], found.weights[rows]


def _order(rows: int, random: np.random.Generator) -> np.ndarray:
    blocks = [
        np.arange(start, min(start + _BLOCK_ROWS, rows)) for start in range(0, rows, _BLOCK_ROWS)
    ]
    return np.concatenate([random.permutation(blocks[i]) for i in random.permutation(len(blocks))])
