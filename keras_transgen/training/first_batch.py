"""The first batch of data of any kind, looked at without losing it."""

from __future__ import annotations

import itertools
import types
from collections.abc import Callable, Iterable, Iterator
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


# Keras learns from so many which dimensions may change.
_LEARNT_FROM = 2


def alike(batches: Iterable[Any], raised: list[Exception]) -> Iterator[Any]:
    """The batches of a Python generator, as long as they have the form of the first ones.

    TensorFlow reads them, and would tell of another form in its own words.

    Args:
        batches: Tuples of arrays or structures of them.
        raised: Gets the error that ends the reading.

    Raises:
        ValueError: A batch has other parts, other dimensions or another size of examples.
    """
    known: list[tuple[int | None, ...] | None] = []
    for number, batch in enumerate(batches, start=1):
        shapes = [_shape(leaf) for leaf in keras.tree.flatten(batch)]
        if number == 1:
            known = [shape and (None, *shape[1:]) for shape in shapes]
        elif number <= _LEARNT_FROM and list(map(_rank, known)) == list(map(_rank, shapes)):
            known = [_joined(*pair) for pair in zip(known, shapes)]
        elif len(shapes) != len(known) or not all(map(_fits, known, shapes)):
            error = ValueError(
                "All batches of a Python generator have one form: as many parts, and examples of "
                "one shape; sequences of several lengths go into a list, or are padded to one "
                f"length. Received: batch {number} with shapes {_said(shapes)} after {_said(known)}"
            )
            raised.append(error)
            raise error
        yield batch


def _shape(leaf: Any) -> tuple[int, ...] | None:
    return None if leaf is None else tuple(getattr(leaf, "shape", ()))


def _rank(shape: tuple | None) -> int | None:
    return None if shape is None else len(shape)


def _joined(known: tuple | None, shape: tuple | None) -> tuple | None:
    """The dimensions that both have."""
    if known is None or shape is None:
        return None
    return tuple(one if one == other else None for one, other in zip(known, shape))


def _fits(known: tuple | None, shape: tuple | None) -> bool:
    if known is None or shape is None:
        return known is shape
    same = len(known) == len(shape)
    return same and all(one in (None, other) for one, other in zip(known, shape))


def _said(shapes: list) -> str:
    return ", ".join(
        "nothing"
        if shape is None
        else str(["any" if side is None else side for side in shape]).replace("'", "")
        for shape in shapes
    )
