"""The first batch of data of any kind, looked at without losing it."""

from __future__ import annotations

import itertools
import types
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf


def looked_at_first(
    data: tf.data.Dataset, check: Callable[[Any], None]
) -> tuple[tf.data.Dataset, list[Exception]]:
    """A data set whose first batch is checked when it is read, and read once.

    Looking before would lose the batch where the data set is made of what gives its batches once.

    Args:
        data: Of batches.
        check: Called with the first batch, as a tuple `(inputs, labels, weights)`; it may raise.

    Returns:
        The data set, and a list that holds what `check` raised once reading has failed by it.
    """
    raised: list[Exception] = []
    spec = data.element_spec
    if not all(isinstance(each, tf.TensorSpec) for each in keras.tree.flatten(spec)):
        return data, raised

    def look(*leaves: tf.Tensor) -> bool:
        try:
            check(keras.utils.unpack_x_y_sample_weight(keras.tree.pack_sequence_as(spec, leaves)))
        except Exception as error:
            raised.append(error)
            raise
        return True

    def with_look(number: tf.Tensor, batch: Any) -> Any:
        leaves = keras.tree.flatten(batch)
        looked = tf.cond(
            tf.equal(number, 0),
            lambda: tf.ensure_shape(tf.py_function(look, leaves, tf.bool), []),
            lambda: tf.constant(True),
        )
        with tf.control_dependencies([looked]):
            return keras.tree.map_structure(tf.identity, batch)

    return data.enumerate().map(with_look), raised


def first_batch(data: Any) -> tuple[Any, Any]:
    """The first batch of data that come in batches, and data that still begin with it.

    Args:
        data: A `keras.utils.PyDataset` or a Python generator; of anything else, arrays for one,
            there is no first batch.

    Returns:
        The batch as a tuple `(inputs, labels, weights)`, what there is not as `None`, or `None`
        where there is no batch; and the data.

    Raises:
        ValueError: A generator has no batch left, or yields no tuples.
    """
    batch = None
    if isinstance(data, keras.utils.PyDataset):
        batch = data[0]
    elif isinstance(data, types.GeneratorType):
        batch = _first_of(data)
        data = (each for each in itertools.chain([batch], data))
    return None if batch is None else keras.utils.unpack_x_y_sample_weight(batch), data


def _first_of(batches: types.GeneratorType) -> tuple:
    """The first batch of a Python generator, which Keras takes as a tuple only."""
    first = next(batches, None)
    if first is None:
        raise ValueError("The data are empty: there is no batch. Received: a used-up generator")
    if not isinstance(first, (tuple, list)):
        raise ValueError(
            "A Python generator must yield tuples: (inputs,), (inputs, labels) or (inputs, labels, "
            f"weights). Received: a batch of type {type(first).__name__}"
        )
    return tuple(first)
