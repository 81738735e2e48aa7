"""Data sets whose iterators go at once when the data end.

A `tf.data` iterator has a thread that tunes the pipeline and sleeps in between: 10 ms, 20 ms, and
twice as long each time, up to a minute. When the iterator goes, the thread is woken, but in
TensorFlow 2.21 the call is lost about one time in four, and the end of an epoch then waits until
the thread wakes by itself: for up to as long as the epoch took. Without the tuning,
`tf.data.AUTOTUNE` stands for as many parallel calls as there are threads.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_transgen.training.epoch_shuffle import is_arrays


def ends_promptly(data: Any) -> Any:
    """A data set without the tuning thread, unless its own options ask for it.

    Args:
        data: A `tf.data.Dataset`, or anything else, which is returned as it is.

    Returns:
        The data set with `options.autotune.enabled = False`.

    Example:
        ```python
        import tensorflow as tf
        from keras_transgen.training.iterator_end import ends_promptly

        batches = ends_promptly(tf.data.Dataset.range(10).batch(2))
        assert batches.options().autotune.enabled is False
        ```
    """
    if not isinstance(data, tf.data.Dataset) or data.options().autotune.enabled is not None:
        return data
    options = tf.data.Options()
    options.autotune.enabled = False
    return data.with_options(options)


def batches_of_arrays(data: tuple, batch_size: int) -> tf.data.Dataset | None:
    """Batches of arrays in their order, as Keras makes them, in a data set that ends promptly.

    Args:
        data: Tuple `(x,)`, `(x, y)` or `(x, y, sample_weight)`.
        batch_size: Rows a batch; the last one may have fewer.

    Returns:
        A `tf.data.Dataset` of known cardinality, sharded by rows over workers; `None` for data
        that Keras shall take as they are: other than arrays, or several of them in a list.
    """
    while data and data[-1] is None:
        data = data[:-1]
    leaves = keras.tree.flatten(data)
    nested = any(part is None or isinstance(part, (list, tuple)) for part in data)
    rows = {leaf.shape[0] if leaf.shape else 0 for leaf in leaves if hasattr(leaf, "shape")}
    if not data or nested or not is_arrays(data) or len(rows) != 1 or 0 in rows:
        return None
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    tensors = keras.tree.map_structure(_as_keras_does, data)
    batches = tf.data.Dataset.from_tensor_slices(tensors).batch(batch_size).prefetch(1)
    return ends_promptly(batches.with_options(options))


def _as_keras_does(array: Any) -> Any:
    if array is None:
        return None
    tensor = tf.convert_to_tensor(array)
    return tf.cast(tensor, keras.config.floatx()) if tensor.dtype.is_floating else tensor
