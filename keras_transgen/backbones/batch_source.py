"""Data in any form that Keras takes, as batches in order, with a fingerprint where it has one."""

import hashlib
import mmap
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.training.batch_assertions import own_words
from keras_transgen.training.batches import ends_promptly

_CHUNK_BYTES = 2**22


class BatchSource:
    """Data as batches of `(x, y, sample_weight)`, always in the same order.

    Args:
        data: Arrays or dicts of arrays `[rows, ...]`, `(x, y)`, `(x, y, sample_weight)`, a
            `tf.data.Dataset` of batches of these, or a `keras.utils.PyDataset`.
        batch_size: Rows a batch of arrays.
        watch: Called with `x` of each of the `watched_batches`.
    """

    def __init__(
        self, data: Any, batch_size: int, watch: Callable[[Any], None] | None = None
    ) -> None:
        self._data = data
        self._watch = watch
        self._batch_size = batch_size
        self.rows: int | None = None
        self.is_arrays = False
        if isinstance(data, tf.data.Dataset):
            _check_dataset(data)
            self._data = ends_promptly(data)
        elif isinstance(data, keras.utils.PyDataset):
            if data.num_batches is None:
                raise _endless("PyDataset with num_batches=None")
            if data.num_batches == 0:
                raise empty_data("PyDataset with num_batches=0")
        else:
            self.is_arrays = True
            self._data = keras.tree.map_structure(_as_array, _split(_listed(data)))
            self.rows = _common_length(self._data)

    def fingerprint(self) -> str | None:
        """Hash of the arrays' bytes; None for data that only iterating would tell."""
        if not self.is_arrays:
            return None
        total = hashlib.sha256(str(keras.tree.map_structure(_describe, self._data)).encode())
        for array in keras.tree.flatten(self._data):
            if array is not None:
                _hash_array(total, array)
        return total.hexdigest()

    def beginning(self) -> str:
        """Hash of how many batches there are, as far as they know, and of the first batch's `x`."""
        if isinstance(self._data, tf.data.Dataset):
            count: Any = int(self._data.cardinality())
        else:
            count = self.rows if self.is_arrays else self._data.num_batches
        total = hashlib.sha256(str(count).encode())
        for x, _, _ in self.batches(0, 0):
            for part in keras.tree.flatten(x):
                array = np.asarray(part)
                total.update(_describe(array).encode())
                _hash_array(total, array)
            break
        return total.hexdigest()

    @property
    def known_batches(self) -> int | None:
        """How many batches a data set says that it has; `None` for arrays."""
        if self.is_arrays:
            return None
        if isinstance(self._data, keras.utils.PyDataset):
            return self._data.num_batches
        count = int(self._data.cardinality())
        return count if count >= 0 else None

    def labels(self) -> Iterator[tuple[int, Any, Any]]:
        """The rows, labels and sample weights of each batch."""
        for x, y, weight in self.batches(0, 0):
            yield int(keras.tree.flatten(x)[0].shape[0]), y, weight

    def input_specification(self) -> Any | None:
        """`tf.TensorSpec`s of `x` with any number of rows, or None where not known in advance."""
        if isinstance(self._data, tf.data.Dataset):
            return keras.tree.map_structure(_any_rows, _split(self._data.element_spec)[0])
        if not self.is_arrays:
            return None
        first = _slice(self._data[0], 0, 1)
        return keras.tree.map_structure(
            lambda array: tf.TensorSpec([None, *array.shape[1:]], tf.constant(array).dtype), first
        )

    def batches(self, first_batch: int, first_row: int) -> Iterator[tuple[Any, Any, Any]]:
        """The batches after those that were seen already.

        Yields:
            `(x, y, sample_weight)`, None for what the data do not have.
        """
        if isinstance(self._data, tf.data.Dataset):
            with own_words(self._data):
                for batch in self._data.skip(first_batch):
                    yield _split(batch)
        elif isinstance(self._data, keras.utils.PyDataset):
            for index in range(first_batch, self._data.num_batches):
                yield _split(self._data[index])
        else:
            assert self.rows is not None
            for start in range(first_row, self.rows, self._batch_size):
                yield _slice(self._data, start, start + self._batch_size)
                for array in keras.tree.flatten(self._data):
                    _drop_pages(array)

    def watched_batches(self, first_batch: int, first_row: int) -> Iterator[tuple[Any, Any, Any]]:
        """As `batches`, with a call of `watch` for each."""
        for batch in self.batches(first_batch, first_row):
            if self._watch is not None:
                self._watch(batch[0])
            yield batch


def empty_data(received: str) -> ValueError:
    """The error for data without a row, for the caller to raise."""
    return ValueError(
        "Expected data with at least one row, to extract features from. Check the folder or the "
        f"filter that the data come from. Received: {received}"
    )


def _endless(received: str) -> ValueError:
    return ValueError(
        "Expected data that end. Leave out .repeat(), or cut the data with .take(n). "
        f"Received: {received}"
    )


def _check_dataset(data: tf.data.Dataset) -> None:
    cardinality = int(data.cardinality())
    if cardinality == tf.data.INFINITE_CARDINALITY:
        raise _endless("a tf.data.Dataset of infinite cardinality")
    if cardinality == 0:
        raise empty_data("a tf.data.Dataset of 0 batches")
    for specification in keras.tree.flatten(_split(data.element_spec)[0]):
        if specification.shape.rank == 0:
            raise ValueError(
                "Expected a tf.data.Dataset of batches. Batch it with .batch(32). "
                f"Received: elements of {specification}"
            )


def _split(batch: Any) -> tuple[Any, Any, Any]:
    if not isinstance(batch, tuple):
        return batch, None, None
    if not 1 <= len(batch) <= 3:
        raise ValueError(
            "Expected x, (x, y) or (x, y, sample_weight). Put several inputs into a dict. "
            f"Received: a tuple of {len(batch)}"
        )
    return (*batch, None, None)[:3]  # type: ignore[return-value]


def _listed(data: Any) -> Any:
    """Lists of plain values are arrays; lists of arrays are several inputs."""
    if isinstance(data, tuple):
        return tuple(_listed(part) for part in data)
    if isinstance(data, list) and not any(hasattr(part, "shape") for part in data):
        return np.asarray(data)
    return data


def _as_array(values: Any) -> Any:
    if values is None or isinstance(values, np.ndarray):
        return values
    if not hasattr(values, "shape"):
        raise ValueError(
            "Expected arrays, a tf.data.Dataset or a keras.utils.PyDataset. "
            f"Received: {type(values).__name__}"
        )
    return np.asarray(values)


def _common_length(data: Any) -> int:
    arrays = [array for array in keras.tree.flatten(data) if array is not None]
    if not arrays or any(array.ndim == 0 for array in arrays):
        raise ValueError(f"Expected arrays [rows, ...]. Received: {_shapes(arrays)}")
    lengths = {len(array) for array in arrays}
    if len(lengths) > 1:
        raise ValueError(
            "Expected inputs, labels and sample weights with one row for each example. "
            f"Received: {_shapes(arrays)}"
        )
    rows = lengths.pop()
    if rows == 0:
        raise empty_data(_shapes(arrays))
    return rows


def _shapes(arrays: list[np.ndarray]) -> str:
    return "arrays of shapes " + ", ".join(str(array.shape) for array in arrays)


def _slice(data: Any, start: int, stop: int) -> Any:
    def cut(array: Any) -> Any:
        if array is None:
            return None
        part = array[start:stop]
        # As Keras does with what it is given.
        return part.astype(keras.config.floatx()) if part.dtype == np.float64 else part

    return keras.tree.map_structure(cut, data)


def _any_rows(specification: Any) -> Any:
    if not isinstance(specification, tf.TensorSpec):
        return specification
    return tf.TensorSpec([None, *specification.shape[1:]], specification.dtype)


def _describe(array: Any) -> str:
    return "none" if array is None else f"{array.dtype.str}{array.shape}"


def _hash_array(total: Any, array: np.ndarray) -> None:
    row_bytes = max(1, array.dtype.itemsize * int(np.prod(array.shape[1:])))
    rows = max(1, _CHUNK_BYTES // row_bytes)
    for start in range(0, len(array), rows):
        chunk = array[start : start + rows]
        if chunk.dtype.hasobject:
            # The bytes of such an array are addresses.
            total.update(repr(chunk.tolist()).encode())
        else:
            total.update(chunk.tobytes())
        _drop_pages(array)


def _drop_pages(array: Any) -> None:
    """Gives back the memory that reading a mapped file took; the file keeps the data."""
    if not isinstance(array, np.memmap) or array.mode == "c":
        return
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)
