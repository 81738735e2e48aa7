"""What `fit` is given, as batches: checked, in the run's own order, ending when the data end.

A `tf.data` iterator has a thread that tunes the pipeline and sleeps in between: 10 ms, 20 ms, and
twice as long each time, up to a minute. When the iterator goes, the thread is woken, but in
TensorFlow 2.21 the call is often lost, and the end of an epoch then waits until the thread wakes by
itself: for up to as long as the epoch took (`benchmarks/epoch_ends.py`). Without the tuning,
`tf.data.AUTOTUNE` stands for as many parallel calls as there are threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.training.progress import Progress

CheckData = Callable[..., None]


def is_arrays(data: Any) -> bool:
    """Whether every leaf of a structure is an array held in memory."""
    leaves = [leaf for leaf in keras.tree.flatten(data) if leaf is not None]
    return bool(leaves) and all(isinstance(leaf, (np.ndarray, tf.Tensor)) for leaf in leaves)


def check_call(x: Any, batch_size: int | None, y: Any = None) -> None:
    """Refuse what is no data, in words: Keras' own would print all of it.

    Args:
        x: What `fit`, `evaluate` or `predict` was given.
        batch_size: The same.
        y: The second argument of `fit` and `evaluate`.

    Raises:
        ValueError: There are no data, or lists of numbers instead of arrays, one label for all
            examples, or a batch of none.
    """
    if x is None:
        raise ValueError("There are no data. Give x: arrays or a data set. Received: x=None")
    plain = (bool, int, float, complex, str, bytes)
    if isinstance(x, (*plain, list, tuple, dict)):
        wrong = [leaf for leaf in keras.tree.flatten(x) if leaf is None or isinstance(leaf, plain)]
        if wrong:
            raise ValueError(
                "Data are arrays, or lists and dicts of arrays; one example alone goes into a "
                "list, [x], and np.asarray(x) makes an array of numbers. "
                f"Received: x of type {type(x).__name__} with {len(wrong)} values of type "
                f"{type(wrong[0]).__name__}"
            )
    is_array = isinstance(y, (np.ndarray, np.generic, tf.Tensor))
    if isinstance(y, plain) or (is_array and not np.ndim(y)):
        raise ValueError(
            "The second argument holds a label (or a target) for each example. "
            f"Received: y={y!r:.100}, one for all"
        )
    is_number = isinstance(batch_size, (int, np.integer)) and not isinstance(batch_size, bool)
    if batch_size is not None and (not is_number or batch_size < 1):
        raise ValueError(
            f"batch_size must be a whole number of at least 1. Received: batch_size={batch_size!r}"
        )


def check_epochs(epochs: Any) -> None:
    """Refuse epochs that are no whole number; Keras' own error comes from within its loop.

    Args:
        epochs: What `fit` was given.
    """
    if isinstance(epochs, bool) or not isinstance(epochs, (int, np.integer)) or epochs < 0:
        raise ValueError(f"epochs must be a whole number. Received: epochs={epochs!r}")


def check_lengths(data: Any) -> int:
    """The common first dimension of arrays."""
    lengths = [int(leaf.shape[0]) for leaf in keras.tree.flatten(data) if leaf is not None]
    if len(set(lengths)) > 1:
        raise ValueError(
            "All arrays must have the same number of rows (the first dimension). "
            f"Received: {lengths}"
        )
    if lengths[0] == 0:
        raise ValueError("The data are empty: there must be at least one row. Received: 0 rows")
    return lengths[0]


def check_weights_have_labels(y: Any, sample_weight: Any) -> None:
    """Refuse weights of examples without labels, which Keras drops without a word."""
    if y is None and sample_weight is not None:
        raise ValueError(
            "Keras drops the weights of examples that have no labels. Pass y, too: zeros, for a "
            "model that does not look at labels. "
            f"Received: y=None, sample_weight of shape {tuple(np.shape(sample_weight))}"
        )


def check_arrays(parts: tuple, check_data: CheckData, training: bool) -> None:
    """Refuse arrays of unequal lengths, weights without labels, and what the model refuses.

    Args:
        parts: `(x, y, sample_weight)`, arrays or structures of arrays.
        check_data: `TrainerModel.check_data`.
        training: Whether they are trained on.
    """
    x, y, sample_weight = parts
    check_lengths(parts)
    check_data(x, y, sample_weight, training=training)
    check_weights_have_labels(y, sample_weight)


def split_last(data: Any, fraction: float) -> tuple[Any, Any]:
    """Split arrays as Keras' `validation_split` does: the last rows are held out."""
    rows = check_lengths(data)
    cut = math.floor(rows * (1.0 - fraction))
    if not 0 < cut < rows:
        raise ValueError(
            "validation_split must leave rows on both sides. "
            f"Received: validation_split={fraction} with {rows} rows"
        )
    first = keras.tree.map_structure(lambda leaf: None if leaf is None else leaf[:cut], data)
    second = keras.tree.map_structure(lambda leaf: None if leaf is None else leaf[cut:], data)
    return first, second


def shuffled_batches(data: tuple, batch_size: int, progress: Progress) -> tf.data.Dataset:
    """Batches of arrays, shuffled anew each epoch by the run's seed and the epoch's first step.

    Keras shuffles by a generator that starts afresh in a new process, so that a resumed epoch sees
    another order than the epoch it repeats. Here the order is a function of what is saved with the
    weights.

    Args:
        data: Tuple `(x, y, sample_weight)` of arrays, or structures of arrays, of equal lengths.
        batch_size: Examples a batch, over all replicas.
        progress: The run's counters.
    """
    rows = check_lengths(data)
    # A list that leaves a function of tf.data is stacked into one tensor; a tuple is not.
    tensors = keras.tree.map_structure(tf.convert_to_tensor, keras.tree.lists_to_tuples(data))

    def permutation() -> np.ndarray:
        key = [int(progress.seed.numpy()) & 0xFFFFFFFF, progress.epoch_start()]
        return np.random.default_rng(key).permutation(rows)

    def ordered(_: tf.Tensor) -> tf.Tensor:
        order = tf.numpy_function(permutation, [], tf.int64)
        return tf.ensure_shape(order, [rows])

    def gather(indices: tf.Tensor) -> Any:
        return keras.tree.map_structure(lambda t: tf.gather(t, indices), tensors)

    return batches_in_order(ordered, gather, rows, batch_size)


def plain_batches(data: tuple, batch_size: int) -> tf.data.Dataset | None:
    """Batches of arrays in the order they have, as Keras makes them, but ending promptly.

    Args:
        data: Tuple `(x,)`, `(x, y)` or `(x, y, sample_weight)`.
        batch_size: Rows a batch; the last one may have fewer.

    Returns:
        A `tf.data.Dataset` of known cardinality; `None` for data that Keras shall take as they are:
        other than arrays, or several of them in a list.
    """
    while data and data[-1] is None:
        data = data[:-1]
    leaves = keras.tree.flatten(data)
    nested = any(part is None or isinstance(part, (list, tuple)) for part in data)
    lengths = {leaf.shape[0] if leaf.shape else 0 for leaf in leaves if hasattr(leaf, "shape")}
    if not data or nested or not is_arrays(data) or len(lengths) != 1 or 0 in lengths:
        return None
    rows = lengths.pop()
    tensors = keras.tree.map_structure(_as_keras_does, keras.tree.lists_to_tuples(data))

    def gather(indices: tf.Tensor) -> Any:
        return keras.tree.map_structure(lambda t: tf.gather(t, indices), tensors)

    return batches_in_order(lambda _: tf.range(rows, dtype=tf.int64), gather, rows, batch_size)


def _as_keras_does(array: Any) -> tf.Tensor:
    tensor = tf.convert_to_tensor(array)
    return tf.cast(tensor, keras.config.floatx()) if tensor.dtype.is_floating else tensor


def batches_in_order(
    ordered: Callable[[tf.Tensor], Any], gather: Callable[..., Any], rows: int, batch_size: int
) -> tf.data.Dataset:
    """Batches in an order that is drawn when an epoch starts, sharded by rows over workers.

    Args:
        ordered: Called at the start of every epoch; returns the order, a tensor `[rows]` or a
            structure of them.
        gather: From a batch of the order to the batch of data.
        rows: How many rows an epoch has.
        batch_size: Rows a batch; the last one may have fewer.
    """
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    batches = (
        tf.data.Dataset.range(1)
        .map(ordered)
        .flat_map(lambda order: tf.data.Dataset.from_tensor_slices(order).batch(batch_size))
        .map(gather, num_parallel_calls=tf.data.AUTOTUNE)
        .apply(tf.data.experimental.assert_cardinality(math.ceil(rows / batch_size)))
        .prefetch(tf.data.AUTOTUNE)
    )
    return ends_promptly(batches.with_options(options))


def ends_promptly(data: Any) -> Any:
    """A data set without the tuning thread, unless its own options ask for it.

    Args:
        data: A `tf.data.Dataset`, or anything else, which is returned as it is.

    Returns:
        The data set with `options.autotune.enabled = False`.
    """
    if not isinstance(data, tf.data.Dataset) or data.options().autotune.enabled is not None:
        return data
    options = tf.data.Options()
    options.autotune.enabled = False
    return data.with_options(options)


def held_out_data(
    validation_data: Any,
    batch_size: int | None,
    validation_steps: int | None,
    check_data: CheckData,
) -> tuple[Any, int | None]:
    """Check validation data, and batch arrays in the order they have.

    Args:
        validation_data: As `keras.Model.fit` takes it.
        batch_size: Rows a batch, as asked for.
        validation_steps: As `keras.Model.fit` takes it; Keras then counts the batches itself.
        check_data: `TrainerModel.check_data`.

    Returns:
        The data, and the size of the batches that are still to be made of them.
    """
    if validation_data is None:
        return None, batch_size
    parts = keras.utils.unpack_x_y_sample_weight(validation_data)
    if is_arrays(parts):
        check_arrays(parts, check_data, training=False)
        batches = plain_batches(parts, batch_size or 32) if validation_steps is None else None
        if batches is not None:
            return batches, None
    return ends_promptly(validation_data), batch_size
