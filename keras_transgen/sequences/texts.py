"""Texts on their way in: whatever holds strings, as a list of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from keras_transgen.datasets.as_arrays import as_arrays
from keras_transgen.datasets.printable import printable

# What training on texts keeps in memory.
_MOST_CHARACTERS = 2**31


def as_texts(values: Any, name: str = "texts", empty: bool = False) -> list[str]:
    """Texts as a list of strings.

    Args:
        values: Strings in a list, tuple, array, series, tensor, data set or generator; a data set
            may give batches of them.
        name: What messages call them.
        empty: Whether a text may have no character. Defaults to `False`.

    Raises:
        ValueError: There is no text, one is no string or empty, or one is not UTF-8.
    """
    if values is None or isinstance(values, (str, bytes)):
        raise ValueError(
            f"{name} must be a list of texts, each a string: put one alone into a list, "
            f"[text]. Received: {name}={printable(values, 80)!r}"
        )
    if isinstance(values, Mapping) or not hasattr(values, "__iter__"):
        raise ValueError(
            f"{name} must be strings, one a text, in a list, an array, a series, a data set or a "
            f"generator. Received: {name} of type {type(values).__name__}"
        )
    if isinstance(values, tf.data.Dataset) and values.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            f"Texts are read once, all of them: leave repeat() out, epochs say how often. "
            f"Received: {name} that never end"
        )
    if isinstance(values, (tf.data.Dataset, Iterator)):
        values = list(_within_memory(values, name))
    elif isinstance(values, tf.Tensor):
        values = values.numpy()
    array = np.asarray(as_arrays(list(values) if _is_iterable(values) else values, name))
    if array.dtype.kind not in "OUS" or array.ndim != 1:
        raise ValueError(
            f"{name} must be strings, one a text. "
            f"Received: {name} of type {array.dtype} and shape {list(array.shape)}"
        )
    texts = [_text(each, name, place) for place, each in enumerate(array)]
    if not texts:
        raise ValueError(f"There are no texts. Received: {name} of length 0")
    without = [place for place, each in enumerate(texts) if not each]
    if without and not empty:
        raise ValueError(
            f"Every text must have at least one character; leave the others out. "
            f"Received: {len(without)} empty in {name}, the first in row {without[0]}"
        )
    return texts


def _within_memory(values: Iterable[Any], name: str) -> Iterator[Any]:
    """The texts of a data set or generator, as long as they may have an end."""
    size = 0
    for batch in values:
        for each in _strings(batch, name):
            size += len(each) if isinstance(each, (str, bytes)) else 1
            if size > _MOST_CHARACTERS:
                raise ValueError(
                    f"Texts are kept in memory, at most {_MOST_CHARACTERS:,} characters of them; a "
                    "generator must end. Received: more than that"
                )
            yield each


def has_surrogates(text: str) -> bool:
    """Whether a text holds halves of pairs of UTF-16, which are no characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def holds_texts(values: Any) -> bool:
    """Whether data are texts rather than numbers, as far as their first entry tells."""
    if isinstance(values, tf.data.Dataset):
        spec = values.element_spec
        return isinstance(spec, tf.TensorSpec) and spec.dtype == tf.string
    if isinstance(values, (str, bytes, Iterator)):
        return True
    if isinstance(values, tf.Tensor):
        return values.dtype == tf.string
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    if isinstance(values, np.ndarray):
        return values.dtype.kind in "OUS"
    return (
        isinstance(values, (list, tuple))
        and len(values) > 0
        and isinstance(values[0], (str, bytes))
    )


def _is_iterable(values: Any) -> bool:
    return not isinstance(values, np.ndarray) and not hasattr(values, "to_numpy")


def _strings(batch: Any, name: str) -> Iterable[Any]:
    """The texts of an element of a data set: one, or a batch of them."""
    if isinstance(batch, (tuple, list)) and not all(isinstance(each, str) for each in batch):
        raise ValueError(
            f"{name} must give texts alone: data.map(lambda text, *rest: text). "
            f"Received: elements of {len(batch)} parts"
        )
    if isinstance(batch, tf.Tensor):
        batch = batch.numpy()
    return [batch] if isinstance(batch, (str, bytes)) else list(batch)


def _text(value: Any, name: str, place: int) -> str:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise ValueError(
                f"Texts must be UTF-8. Received: {name} with other bytes in row {place}: {error}"
            ) from error
    if not isinstance(value, str):
        raise ValueError(
            f"{name} must be strings, one a text. Received: {name} with a value of type "
            f"{type(value).__name__} in row {place}"
        )
    if not value.isascii() and has_surrogates(value):
        raise ValueError(
            "Texts are Unicode. Read the file as UTF-8, or leave out what is none. "
            f"Received: {name} with half a pair of surrogates in row {place}"
        )
    return value
