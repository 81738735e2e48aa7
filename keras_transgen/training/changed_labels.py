"""Data that come in batches, with other labels: names, or texts, as numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.datasets.as_arrays import as_arrays
from keras_transgen.training.entrance import ChangedBatches, with_attributes_of


def labels_of(spec: Any) -> Any:
    """The dtype of the labels in what a data set gives; `None` where there are none."""
    is_pair = isinstance(spec, tuple) and len(spec) > 1
    return getattr(spec[1], "dtype", None) if is_pair else None


def with_changed_labels(
    data: Any, change: Callable[[Any], np.ndarray], dtype: Any, added: tuple[int, ...] = ()
) -> Any:
    """The same batches with other labels.

    Args:
        data: A data set, a `keras.utils.PyDataset` or a Python generator.
        change: Makes an array of new labels of one of old.
        dtype: Of the new labels.
        added: Dimensions that a new label has and an old one has not.
    """
    if isinstance(data, tf.data.Dataset):

        def look_up(x: Any, y: Any, *weights: Any) -> tuple:
            found = tf.numpy_function(change, [y], dtype)
            return (x, tf.ensure_shape(found, y.shape.concatenate(added)), *weights)

        return with_attributes_of(data, data.map(look_up))

    def changed_batch(batch: Any) -> tuple:
        x, y, *weights = batch
        return (x, change(as_arrays(y, "y")), *weights)

    if isinstance(data, keras.utils.PyDataset):
        return ChangedBatches(data, changed_batch)
    return (changed_batch(batch) for batch in data)
