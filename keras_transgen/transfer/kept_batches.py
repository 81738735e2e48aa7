"""Batches of a Python generator, which gives them once, kept for what needs them again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

MAX_BYTES = 2**31


class KeptBatches(keras.utils.PyDataset):
    """The batches of a generator that ends, in memory.

    Args:
        generator: Gives `x`, `(x, y)` or `(x, y, sample_weight)`.
        steps: How many batches to take; `None` for all there are.
        max_bytes: Most bytes of all its arrays together. Defaults to 2 GiB.

    Raises:
        ValueError: It gives nothing, or more than that.
    """

    def __init__(
        self, generator: Iterator[Any], steps: int | None = None, max_bytes: int = MAX_BYTES
    ) -> None:
        super().__init__()
        self._batches: list[Any] = []
        left = max_bytes
        for batch in itertools.islice(generator, steps):
            left -= sum(np.asarray(leaf).nbytes for leaf in keras.tree.flatten(batch))
            if left < 0:
                raise ValueError(
                    "A generator gives its batches once, and all of them are needed before the "
                    "training begins: it must end, within 2 GiB, or be given steps_per_epoch. "
                    "Give a tf.data.Dataset or a keras.utils.PyDataset instead, which can be read "
                    "again, or take head_initialization='random' in another kind of transfer. "
                    f"Received: a generator with more than {max_bytes:,} bytes"
                )
            self._batches.append(batch)
        if not self._batches:
            raise ValueError(
                "A generator must give at least one batch. Received: one that has ended; make it "
                "anew for each call"
            )

    @property
    def num_batches(self) -> int:
        """Batches in an epoch."""
        return len(self._batches)

    def __getitem__(self, index: int) -> Any:
        return self._batches[index]
