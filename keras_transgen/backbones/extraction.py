"""Runs data through a frozen backbone once, and keeps the features on disk."""

import collections
import concurrent.futures
import contextlib
import dataclasses
import errno
import itertools
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_transgen.backbones.batch_source import BatchSource, empty_data
from keras_transgen.backbones.feature_cache import (
    ArrayWriter,
    SameData,
    StoredArrays,
    cache_key,
    full_disk_error,
    open_arrays,
)
from keras_transgen.backbones.feature_function import FeatureFunction, refuse_rows, row_count
from keras_transgen.backbones.folder_removal import remove_folder
from keras_transgen.backbones.sequences_of_lengths import sequences_of_lengths
from keras_transgen.datasets.file_lock import file_lock
from keras_transgen.training.each_length import of_each_length, ragged_in_their_rows

# A batch leaves cores idle in a network's narrow layers; a second one uses them.
_BATCHES_AT_ONCE = 2


@dataclasses.dataclass(frozen=True, eq=False)
class Features:
    """What a backbone makes of data, mapped from the disk.

    Attributes:
        features: `np.memmap` `[rows * views, ...]` in the order of the data; the structure of
            them that the backbone gives where it has several outputs. Of sequences of several
            lengths an `np.ndarray` in memory, or a `tf.RaggedTensor` `[rows * views, length, ...]`
            where there are features of each position.
        labels: The labels `[rows * views, ...]` in the same order, or None.
        sample_weight: The sample weights `[rows * views]`, or None.
        path: The folder that holds them; `None` for those of several lengths, which are in memory
            (and each length in a folder of its own in `cache_dir`).
        views: How many views of each example there are; they follow one another.
    """

    features: Any
    labels: Any
    sample_weight: Any
    path: Path | None
    views: int = 1

    @property
    def rows(self) -> int:
        """How many examples the data have, views not counted."""
        return row_count(self.features) // self.views


def extract_features(
    backbone: keras.layers.Layer,
    data: Any,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    batch_size: int = 32,
    preprocessing: Callable[[Any], Any] | None = None,
    views: int = 1,
    augmentation: Callable[..., Any] | None = None,
    seed: int = 0,
    dtype: str | None = None,
    data_key: str | None = None,
    progress: bool = True,
    compiled: dict[str, Any] | None = None,
    watch: Callable[[Any], None] | None = None,
) -> Features:
    """Runs data through a frozen backbone once, a batch at a time, onto the disk.

    With `cache_dir` the features are found again when the backbone's weights, the preprocessing
    and the data are the same, and an interrupted extraction goes on where it stopped. That takes
    a key for each of them. Arrays and Keras layers have one. A `tf.data.Dataset`, a `PyDataset`
    and a plain Python function have none that could be trusted: with these the features go to a
    temporary folder, removed with the result, unless `data_key` names the data and the functions.
    Such data must come in the same order each time: shuffle the features, not the data. Their
    number and their first batch are in the key, too, and their labels are read anew each time.

    Sequences of several lengths go each length by itself, so that no padding is seen: the features
    of each are those of it alone. They, and their features, are held in memory. Where a network
    gives one vector for each sequence, the features are an array as always; where it gives one for
    each position, they are ragged, as the sequences are: `tf.RaggedTensor` `[rows, length, size]`.

    Args:
        backbone: The layer or model. It runs in inference mode, whatever its `trainable`.
        data: Arrays `[rows, ...]` or a dict of them, `(x, y)`, `(x, y, sample_weight)`, a
            `tf.data.Dataset` of batches of these, or a `keras.utils.PyDataset`. For `x` also a
            `tf.RaggedTensor` `[rows, length, ...]` or a list of arrays `[length, ...]` of several
            lengths, and data sets of batches of ragged tensors.
        cache_dir: Folder for features to be found again. None: a temporary folder (`TMPDIR`),
            removed with the result.
        batch_size: Rows a batch of arrays. Defaults to 32.
        preprocessing: Layer or function from the data's batches to the backbone's inputs.
        views: How many views of each example to keep: the plain one first, then augmented ones.
        augmentation: Layer (called with `training=True`) or function for the other views, before
            `preprocessing`. A function with an argument `seed` is given two integers, different
            for each batch and view.
        seed: Seed of the augmentation. Defaults to 0.
        dtype: `"float32"` or `"float16"` to store the features in. None: as they come.
        data_key: Text that changes whenever a data set, or a function given here, does.
        progress: Show a progress bar.
        compiled: A dict, empty at first, for several calls with the same backbone and
            preprocessing: later ones find the traced function of earlier ones in it.
        watch: Called with the inputs of each batch that is extracted, in order.

    Returns:
        `Features`.

    Raises:
        ValueError: If the data are empty or endless, or hold NaN or infinite values (the row is
            named), if features are not finite, or if the features have no common shape. If a
            sequence is empty, or too short for the network (its row is named).
        OSError: If the disk is full. Nothing unfinished is taken for a cache, and finished blocks
            are gone on from.

    Example:
        ```python
        import keras
        import numpy as np
        from keras_transgen.backbones import extract_features

        backbone = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        x, y = np.ones((10, 4), "float32"), np.arange(10)
        found = extract_features(backbone, (x, y), progress=False)
        print(found.features.shape, found.labels.shape)  # (10, 2) (10,)
        ```
    """
    _check_arguments(batch_size, views, augmentation, dtype)
    sequences = sequences_of_lengths(backbone, data)
    if sequences is not None:
        options = {
            "cache_dir": cache_dir,
            "batch_size": batch_size,
            "preprocessing": preprocessing,
            "views": views,
            "augmentation": augmentation,
            "seed": seed,
            "dtype": dtype,
            "data_key": data_key,
            "compiled": compiled,
            "watch": watch,
        }
        return _features_of_lengths(backbone, *sequences, progress, views, options)
    source = BatchSource(data, batch_size, watch)
    function = FeatureFunction(
        backbone,
        source.input_specification(),
        preprocessing,
        augmentation,
        views,
        seed,
        dtype,
        compiled,
    )
    key = None if cache_dir is None else _key(function, source, data_key)
    if key is None:
        return _extract_for_now(function, source, cache_dir, progress)
    folder = Path(cache_dir)  # type: ignore[arg-type]
    stored, is_fresh = _stored(function, source, folder, key, progress)
    found = _as_features(stored, views)
    if is_fresh or source.is_arrays or isinstance(data_key, SameData):
        # Labels of arrays are in the key.
        return found
    rows, labels, weights = _read_labels(source, views)
    if rows != found.rows:
        key = cache_key(key=key, rows=rows)
        stored, is_fresh = _stored(function, source, folder, key, progress)
        found = _as_features(stored, views)
    return dataclasses.replace(found, labels=labels, sample_weight=weights)


def _features_of_lengths(
    backbone: keras.layers.Layer,
    x: dict[str, Any],
    y: Any,
    sample_weight: Any,
    progress: bool,
    views: int,
    options: dict[str, Any],
) -> Features:
    """Features of sequences, those of one length at a time."""
    labels, weights = _labels(y, 0, views, "labels"), _labels(sample_weight, 0, views, "weights")
    count = row_count(x)
    given = [each for each in keras.tree.flatten((labels, weights)) if each is not None]
    _check_lengths([np.empty(count * views), *given], 0)
    bar = keras.utils.Progbar(count, unit_name="row") if progress else None

    def extracted(sequences: np.ndarray) -> Any:
        features = extract_features(backbone, sequences, progress=False, **options).features
        if bar is not None:
            bar.add(len(sequences))
        return features

    features = of_each_length(x, extracted, ragged_in_their_rows, views)
    return Features(features, labels, weights, None, views)


def _stored(
    function: FeatureFunction, source: BatchSource, cache_dir: Path, key: str, progress: bool
) -> tuple[StoredArrays, bool]:
    """What lies under a key, extracted if nothing does, and whether all of it was made now."""
    folder = cache_dir / f"features-{key[:32]}"
    stored = open_arrays(folder, key)
    if stored is not None:
        return stored, False
    folder.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(folder.with_suffix(".lock"), "extracting features", print):
        # Another process may have made it while this one waited.
        stored = open_arrays(folder, key)
        if stored is not None:
            return stored, False
        # What goes on from an interrupted extraction holds the labels of that one.
        is_fresh = not folder.with_name(f"{folder.name}.partial").exists()
        return _extract(function, source, folder, key, progress), is_fresh


def _read_labels(source: BatchSource, views: int) -> tuple[int, Any, Any]:
    """How many rows data have now, and their labels and weights: a cache may hold older ones."""
    rows, parts = 0, []
    for count, y, weight in source.labels():
        parts.append(
            (_labels(y, rows, views, "labels"), _labels(weight, rows, views, "sample weights"))
        )
        rows += count
    if not parts:
        raise empty_data("data that gave no batch")

    def joined(*leaves: Any) -> Any:
        return None if leaves[0] is None else np.concatenate(leaves)

    labels = keras.tree.map_structure(joined, *[part[0] for part in parts])
    weights = keras.tree.map_structure(joined, *[part[1] for part in parts])
    return rows, labels, weights


def _check_arguments(batch_size: int, views: int, augmentation: Any, dtype: str | None) -> None:
    if batch_size < 1:
        raise ValueError(f"Expected batch_size of at least 1. Received: batch_size={batch_size}")
    if views < 1 or (views > 1) != (augmentation is not None):
        raise ValueError(
            "Expected views=1 without augmentation, or views of 2 or more with it: the first view "
            f"is the plain one. Received: views={views}, augmentation={augmentation}"
        )
    if dtype not in (None, "float16", "float32"):
        raise ValueError(f"Expected dtype None, 'float16' or 'float32'. Received: dtype={dtype!r}")


def _key(function: FeatureFunction, source: BatchSource, data_key: str | None) -> str | None:
    """The cache key, or None where a part of the work has none."""
    data = source.fingerprint()
    if data_key is None and (data is None or function.has_plain_functions):
        return None
    # A name alone does not tell that rows were added or the images changed.
    is_known = data is not None or isinstance(data_key, SameData)
    beginning = {} if is_known else {"beginning": source.beginning()}
    return cache_key(data=data, data_key=data_key, **beginning, **function.key_parts())


def _extract_for_now(
    function: FeatureFunction, source: BatchSource, cache_dir: Any, progress: bool
) -> Features:
    """Extracts into a folder that goes with the result."""
    if cache_dir is not None:
        Path(cache_dir).mkdir(parents=True, exist_ok=True)
    parent = Path(tempfile.mkdtemp(prefix="keras-transgen-features-", dir=cache_dir))
    try:
        stored = _extract(function, source, parent / "features", "once", progress)
        found = _as_features(stored, function.views)
    except BaseException:
        remove_folder(parent)
        raise
    weakref.finalize(found, remove_folder, parent)
    return found


def _extract(
    function: FeatureFunction, source: BatchSource, folder: Path, key: str, progress: bool
) -> StoredArrays:
    writer = ArrayWriter(folder, key)
    try:
        with contextlib.closing(writer):
            _write_batches(function, source, writer, progress)
            if writer.rows == 0:
                raise empty_data("data that gave no batch")
            writer.finish()
    except ValueError:
        # The data or the backbone are at fault, and going on from here would find the same.
        writer.discard()
        raise
    stored = open_arrays(folder, key)
    if stored is None:
        raise OSError(errno.EIO, f"The features were written but cannot be read back: {folder}")
    return stored


def _write_batches(
    function: FeatureFunction, source: BatchSource, writer: ArrayWriter, progress: bool
) -> None:
    views, total = function.views, source.rows
    known = source.known_batches if total is None else total
    unit = "batch" if total is None and known is not None else "row"
    bar = keras.utils.Progbar(known, unit_name=unit) if progress else None
    checked = False
    batches = source.watched_batches(writer.batches, writer.rows // views)
    for row, features, y, weight in _computed(function, batches, writer.rows // views):
        labels = _labels(y, row, views, "labels")
        weights = _labels(weight, row, views, "sample weights")
        arrays: list[np.ndarray] = []
        layout = [_describe(part, arrays) for part in (features, labels, weights)]
        _check_lengths(arrays, row)
        writer.append(arrays, layout)
        if not checked and total is not None:
            _check_space(writer, total * views)
        checked = True
        if bar is not None:
            done = writer.batches if unit == "batch" else writer.rows // views
            bar.update(done, finalize=done == known)
    if bar is not None and known is None:
        bar.update(writer.rows // views, finalize=True)


def _computed(
    function: FeatureFunction, batches: Iterator[tuple[Any, Any, Any]], row: int
) -> Iterator[tuple[int, Any, Any, Any]]:
    """Features of the batches in their order, several batches on their way at once.

    Args:
        function: Makes the features.
        batches: `(x, y, sample_weight)`.
        row: Which row of the data the first batch starts with.

    Yields:
        `(first row, features, y, sample_weight)` of each batch.
    """
    first = next(batches, None)
    if first is None:
        return
    x, y, weight = first
    function.check_first(x)
    if function.trace():
        batches = itertools.chain([first], batches)
    else:
        # Alone, since it traces.
        yield row, function(x, row), y, weight
        row += row_count(x)
    # The random state of an augmentation belongs to one view of one batch at a time.
    at_once = _BATCHES_AT_ONCE if function.views == 1 else 1
    waiting: collections.deque = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        for x, y, weight in batches:
            waiting.append((row, pool.submit(function, x, row), y, weight))
            row += row_count(x)
            if len(waiting) == at_once:
                start, features, y, weight = waiting.popleft()
                yield start, features.result(), y, weight
        while waiting:
            start, features, y, weight = waiting.popleft()
            yield start, features.result(), y, weight


def _labels(values: Any, row: int, views: int, what: str) -> Any:
    """Labels or weights of a batch as arrays, each row once for each view."""

    def repeated(value: Any) -> Any:
        if value is None:
            return None
        array = np.asarray(value)
        if array.dtype.hasobject or array.ndim == 0:
            raise ValueError(
                f"Expected {what} as numbers [rows, ...]. Give classes as integers. "
                f"Received: {what} of dtype {array.dtype} and shape {array.shape}"
            )
        if array.dtype.kind == "f":
            refuse_rows(
                np.isfinite(array).reshape(len(array), -1).all(1),
                row,
                f"NaN or infinite values in the {what}",
            )
        return array if views == 1 else np.repeat(array, views, axis=0)

    return keras.tree.map_structure(repeated, values)


def _check_lengths(arrays: list[np.ndarray], row: int) -> None:
    lengths = [len(array) for array in arrays]
    if len(set(lengths)) > 1:
        raise ValueError(
            "Expected inputs, labels and sample weights with one row for each example. "
            f"Received: {lengths} rows in the batch that starts at row {row}"
        )


def _check_space(writer: ArrayWriter, rows: int) -> None:
    """Says that the disk is too small before the hours that it would take to fill it."""
    needed = (rows - writer.rows) * writer.row_bytes
    if needed > shutil.disk_usage(writer.folder.parent).free:
        raise full_disk_error(errno.ENOSPC, writer.folder, writer.rows, needed)


def _describe(structure: Any, arrays: list[np.ndarray]) -> Any:
    """Puts a structure's arrays into the list, and gives the structure with their places."""
    if isinstance(structure, dict):
        return {str(name): _describe(structure[name], arrays) for name in sorted(structure)}
    if isinstance(structure, list | tuple):
        return [_describe(part, arrays) for part in structure]
    if structure is None:
        return None
    arrays.append(structure)
    return len(arrays) - 1


def _restore(layout: Any, arrays: list[Any]) -> Any:
    if isinstance(layout, dict):
        return {name: _restore(part, arrays) for name, part in layout.items()}
    if isinstance(layout, list):
        return [_restore(part, arrays) for part in layout]
    return None if layout is None else arrays[layout]


def _as_features(stored: StoredArrays, views: int) -> Features:
    features, labels, weights = _restore(stored.layout, stored.arrays)
    return Features(features, labels, weights, stored.folder, views)
