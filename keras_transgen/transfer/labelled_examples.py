"""Labelled examples in any form of data: their labels, and chosen rows of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.training.batches import ends_promptly
from keras_transgen.transfer.training_data import rows_of, take_rows

# Enough rows for a call of `predict` to be worth it, few enough to be held in memory.
_ROWS_AT_ONCE = 128


class LabelledExamples:
    """Examples with one class each, of which rows can be chosen.

    Of data sets, labels are read in a pass of their own, when they are first asked for, and no more
    than a batch of examples is held at a time. Rows can be chosen of data sets that give the same
    order each time.

    Args:
        x: Array or structure of arrays `[count, ...]`, or a `tf.data.Dataset` (batched or not) or
            `keras.utils.PyDataset` of `(x, y)`. Weights in a data set are passed over.
        y: Classes of arrays, integers with one value an example.
        batch_size: Examples a batch, where the data have no batches of their own.

    Raises:
        ValueError: There are no labels, or the data have no end.
    """

    def __init__(self, x: Any, y: Any = None, batch_size: int = 32) -> None:
        self._data: Any = x
        self._batch_size = batch_size
        self._labels: np.ndarray | None = None
        # Behind the last row of each batch of a data set.
        self._ends = np.empty(0, int)
        if isinstance(x, tf.data.Dataset):
            self._data = _pairs(x, batch_size)
        elif isinstance(x, keras.utils.PyDataset):
            if x.num_batches is None:
                raise ValueError("Expected data that end. Received: PyDataset, num_batches=None")
        elif y is None:
            raise ValueError("Expected the classes of the arrays, y. Received: y=None")
        else:
            self._labels = np.asarray(y).reshape(-1)
        if y is not None and self.is_data_set:
            raise ValueError(
                "A data set brings its labels: leave y out. "
                f"Received: y with x of type {type(x).__name__}"
            )

    @property
    def labels(self) -> np.ndarray:
        """Class of each example, `[count]`; a data set is read for them, once."""
        if self._labels is None:
            parts = list(self._labels_by_batch())
            self._labels = np.concatenate(parts) if parts else np.empty(0)
            self._ends = np.cumsum([len(part) for part in parts])
        return self._labels

    def _labels_by_batch(self) -> Iterator[np.ndarray]:
        if isinstance(self._data, tf.data.Dataset):
            found: Any = ends_promptly(self._data.map(lambda _, labels: labels))
        else:
            found = (_pair(self._data[index])[1] for index in range(self._data.num_batches))
        for labels in found:
            yield np.asarray(labels).reshape(-1)

    @property
    def is_data_set(self) -> bool:
        """Whether the examples are read from a data set, a batch at a time."""
        return isinstance(self._data, (tf.data.Dataset, keras.utils.PyDataset))

    def chosen(self, rows: np.ndarray | None = None) -> Any:
        """Chosen examples as `(x, y)` of arrays, or as a data set of batches of these.

        Args:
            rows: Numbers of the rows, ascending, each once. Defaults to all.
        """
        is_whole = rows is None or len(rows) == len(self.labels)
        if isinstance(self._data, tf.data.Dataset):
            return self._data if is_whole else self._filtered(rows).batch(self._batch_size)
        if isinstance(self._data, keras.utils.PyDataset):
            if rows is None:
                return _ChosenRows(self._data, [(i, None) for i in range(self._data.num_batches)])
            return _ChosenRows(self._data, self._places(rows))
        if rows is None or is_whole:
            return self._data, self.labels
        return take_rows(self._data, rows), self.labels[rows]

    def batches(self, rows: np.ndarray | None = None) -> Iterator[tuple[Any, np.ndarray]]:
        """Chosen examples and their labels: of arrays all at once, of data sets a batch at a time.

        Args:
            rows: Numbers of the rows, ascending, each once. Defaults to all.
        """
        if isinstance(self._data, tf.data.Dataset):
            found: Any = ends_promptly(self._filtered(rows).batch(_ROWS_AT_ONCE))
        elif isinstance(self._data, keras.utils.PyDataset):
            chosen = self.chosen(rows)
            found = (chosen[index] for index in range(chosen.num_batches))
        else:
            found = [self.chosen(rows)]
        for x, labels in found:
            yield x, np.asarray(labels).reshape(-1)

    def gather(self, rows: np.ndarray) -> Any:
        """Chosen examples as arrays, read in one pass.

        Args:
            rows: Numbers of the rows, ascending, each once.

        Raises:
            ValueError: The data set gave other labels than before.
        """
        if not self.is_data_set:
            return take_rows(self._data, rows)
        parts, labels = zip(*self.batches(rows))
        self.refuse_other_order(rows, np.concatenate(labels))
        return keras.tree.map_structure(
            lambda *leaves: np.concatenate([np.asarray(leaf) for leaf in leaves]), *parts
        )

    def refuse_other_order(self, rows: np.ndarray, labels: np.ndarray) -> None:
        """Refuse a data set that is in another order each time it is read.

        Args:
            rows: Numbers of the rows that were read.
            labels: Their labels, as they came.

        Raises:
            ValueError: They are not the labels of the first pass.
        """
        if not np.array_equal(self.labels[rows], np.asarray(labels).reshape(-1)):
            raise ValueError(
                "The data set gave its examples in another order, or other examples, when it was "
                "read again: leave out shuffle, or cache what it gives. "
                f"Received: {len(self.labels)} labels, then others"
            )

    def _filtered(self, rows: np.ndarray | None) -> tf.data.Dataset:
        """Chosen rows of a `tf.data.Dataset`, one by one."""
        if rows is None:
            return self._data.unbatch()
        count = len(self.labels)
        wanted = np.zeros(count + 1, bool)
        wanted[rows] = True
        is_wanted = tf.constant(wanted)
        return (
            self._data.unbatch()
            .enumerate()
            .filter(lambda row, _: is_wanted[tf.minimum(row, count)])
            .map(lambda _, example: example)
        )

    def _places(self, rows: np.ndarray) -> list[tuple[int, np.ndarray]]:
        """Of each batch of a `PyDataset` with chosen rows, its number and the rows in it."""
        starts = np.concatenate([[0], self._ends])
        places = np.searchsorted(self._ends, rows, side="right")
        return [(int(i), rows[places == i] - starts[i]) for i in np.unique(places)]


class _ChosenRows(keras.utils.PyDataset):
    """Batches of a `PyDataset` by their numbers, each cut to some of its rows or whole."""

    def __init__(
        self, data: keras.utils.PyDataset, parts: Sequence[tuple[int, np.ndarray | None]]
    ) -> None:
        super().__init__()
        self._data = data
        self._parts = parts

    @property
    def num_batches(self) -> int:
        """How many batches."""
        return len(self._parts)

    def __getitem__(self, index: int) -> tuple[Any, np.ndarray]:
        place, rows = self._parts[index]
        x, labels = _pair(self._data[place])
        if rows is not None and len(rows) < rows_of(x):
            return take_rows(x, rows), np.asarray(labels)[rows]
        return x, np.asarray(labels)


def _pair(batch: Any) -> tuple[Any, Any]:
    if not isinstance(batch, (tuple, list)) or len(batch) < 2:
        raise ValueError(
            "Expected a data set of (x, y), examples and their classes. "
            f"Received: batches of type {type(batch).__name__}"
        )
    return batch[0], batch[1]


def _pairs(data: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
    """Batches of `(x, y)` of a data set, which may be of single examples."""
    x, labels = _pair(data.element_spec)
    if int(data.cardinality()) == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            "Expected data that end. Leave out .repeat(), or cut the data with .take(n). "
            "Received: a tf.data.Dataset of infinite cardinality"
        )
    pairs = data.map(lambda x, labels, *_: (x, labels))
    first = keras.tree.flatten(x)[0]
    is_batched = (
        labels.shape.rank != 0 and first.shape.rank != 0 and labels.shape[0] == first.shape[0]
    )
    return pairs if is_batched else pairs.batch(batch_size)
