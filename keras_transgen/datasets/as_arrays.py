"""One entrance: what people keep data in, as arrays of numbers or of words."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from keras_transgen.datasets.printable import printable

_WORDS = (str, bytes)
_NUMBERS = (bool, int, float, np.bool_, np.number)


def as_arrays(values: Any, name: str = "x", rank: int | None = None, several: bool = False) -> Any:
    """Lists, tables, series and arrays of objects as arrays; everything else as it is.

    Numbers become an array of their kind, words an array of objects, arrays of one shape are
    stacked, and arrays that differ in their first dimension alone become a `tf.RaggedTensor`.
    Tensors, data sets and generators are not touched, and neither are arrays of numbers.

    Args:
        values: Arrays, lists, tuples, pandas' or others' tables and series (anything with
            `to_numpy`), dicts of these, tensors, data sets, generators, or `None`.
        name: What messages call them.
        rank: Dimensions of a batch, where it is known: a list of one array that has as many is
            that array, as in Keras.
        several: Whether a list or tuple holds the several inputs of a network.

    Raises:
        ValueError: Something is missing, kinds are mixed, or shapes do not fit.

    Example:
        ```python
        from keras_transgen.datasets import as_arrays

        assert as_arrays([1, 2]).sum() == 3
        assert as_arrays(["a text", "another"]).shape == (2,)
        ```
    """
    if isinstance(values, dict):
        return {key: as_arrays(each, f"{name}[{key!r}]") for key, each in values.items()}
    if several and isinstance(values, (list, tuple)) and all(map(_is_whole, values)):
        return type(values)(
            as_arrays(each, f"{name}[{place}]") for place, each in enumerate(values)
        )
    if hasattr(values, "to_numpy"):
        return _of_table(values, name)
    if isinstance(values, np.ndarray):
        hidden = np.ma.getmaskarray(values).reshape(len(values), -1) if _is_masked(values) else None
        if hidden is not None and hidden.any():
            rows = np.flatnonzero(hidden.any(axis=1))
            raise ValueError(_missing(name, int(rows[0]), len(rows)))
        if values.dtype.kind in "US":
            # Words of one width, which not all of Keras takes.
            words = np.empty(values.shape, object)
            words.ravel()[:] = [_word(each) for each in values.ravel()]
            return words
        return _of_objects(list(values), name) if _is_nested(values) else values
    if not isinstance(values, (list, tuple)):
        return values
    if len(values) == 1 and _dimensions(values[0]) in (rank, None if rank else -1):
        # Keras' list of the only input.
        return as_arrays(values[0], name)
    return _of_objects(list(values), name)


def takes_any_data(*names: str, training: bool = False) -> Callable[[Callable], Callable]:
    """Decorates a method: these arguments go through `self.entered(name, value, training)` first.

    Args:
        *names: Names of arguments.
        training: Whether the method trains on them. Defaults to `False`.
    """

    def decorate(method: Callable) -> Callable:
        signature = inspect.signature(method)

        @functools.wraps(method)
        def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                bound = signature.bind(self, *args, **kwargs)
            except TypeError:
                # Python says best what is wrong with the call.
                return method(self, *args, **kwargs)
            extra: dict[str, Any] = next(
                (
                    bound.arguments[each.name]
                    for each in signature.parameters.values()
                    if each.kind is each.VAR_KEYWORD and each.name in bound.arguments
                ),
                {},
            )
            if hasattr(self, "steps_wanted"):
                told = {**extra, **bound.arguments}
                self.steps_wanted = (told.get("steps_per_epoch"), told.get("validation_steps"))
            # In the order of the names: what labels mean may be learnt from what came before.
            for name in names:
                for given in (bound.arguments, extra):
                    if given.get(name) is not None:
                        given[name] = self.entered(name, given[name], training)
            return method(*bound.args, **bound.kwargs)

        return wrapped

    return decorate


def _of_table(values: Any, name: str) -> np.ndarray:
    """The array of a table or series."""
    missing = getattr(values, "isna", None)
    if missing is not None:
        at = np.argwhere(np.asarray(missing()))
        if len(at):
            raise ValueError(_missing(name, int(at[0][0]), len(at)))
    array = np.asarray(values.to_numpy())
    if array.ndim == 2 and array.shape[1] == 1 and array.dtype.kind in "OUS":
        # One column of words.
        array = array[:, 0]
    if array.dtype.kind == "O" and array.ndim == 2:
        columns = [str(each) for each in getattr(values, "columns", [])]
        kinds = [_of_objects(list(column), name).dtype.kind for column in array.T]
        words = [each for each, kind in zip(columns, kinds) if kind in "OUS"]
        if words:
            raise ValueError(
                f"The columns of {name} must hold numbers; words need columns or models of their "
                f"own. Received: words in the column{'s' * (len(words) > 1)} "
                f"{printable(', '.join(words), 200)}"
            )
        return np.stack([_of_objects(list(column), name) for column in array.T], axis=1)
    return _of_objects(list(array), name) if array.dtype.kind == "O" else array


def _is_masked(array: np.ndarray) -> bool:
    return isinstance(array, np.ma.MaskedArray) and array.ndim > 0


def _is_nested(array: np.ndarray) -> bool:
    """Whether an array of objects holds other things than words."""
    return array.dtype.kind == "O" and not all(isinstance(each, str) for each in array.ravel())


def _of_objects(values: Sequence[Any], name: str) -> Any:
    """Single values, words, or arrays, as one."""
    if not values:
        raise ValueError(f"The data are empty: there is no row. Received: {name} of length 0")
    refuse_where(map(_is_missing, values), name)
    kinds = {_kind(each) for each in values}
    if len(kinds) > 1:
        first = {_kind(each): place for place, each in reversed(list(enumerate(values)))}
        told = ", ".join(f"{kind} in row {place}" for kind, place in sorted(first.items()))
        raise ValueError(f"All rows of {name} must be of one kind. Received: {told}")
    kind = kinds.pop()
    if kind == "words":
        words = np.empty(len(values), object)
        words[:] = [_word(each) for each in values]
        return words
    if kind == "a number":
        return np.array(values)
    if kind != "an array":
        raise ValueError(f"{name} must hold numbers, words or arrays. Received: {kind} in row 0")
    return _of_arrays([_inner(each, f"{name}[{place}]") for place, each in enumerate(values)], name)


def _word(value: Any) -> str:
    if not isinstance(value, bytes):
        return str(value)
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"Words in bytes must be UTF-8: decode others first, word.decode('latin-1'). "
            f"Received: {value[:40]!r}"
        ) from error


def _inner(value: Any, name: str) -> Any:
    inner = as_arrays(value, name) if isinstance(value, (list, tuple)) else np.asarray(value)
    if (
        isinstance(inner, np.ndarray)
        and inner.dtype.kind == "O"
        and all(isinstance(each, _NUMBERS) for each in inner.ravel())
    ):
        # Numbers of several kinds, as in a row of a table.
        inner = np.array(inner.tolist())
    if hasattr(inner, "row_lengths") or (inner.dtype.kind == "O" and _is_nested(inner)):
        raise ValueError(
            f"Rows may differ in their length alone. Received: rows of several lengths in {name}"
        )
    return inner


def _of_arrays(arrays: list[np.ndarray], name: str) -> Any:
    shapes = {array.shape for array in arrays}
    if len(shapes) == 1:
        return np.stack(arrays)
    if () in shapes or len({shape[1:] for shape in shapes}) > 1:
        told = ", ".join(str(list(shape)) for shape in sorted(shapes, key=len)[:3])
        raise ValueError(
            f"Rows of {name} must have one shape, or differ in their first dimension alone. "
            f"Received: {len(shapes)} shapes, such as {told}"
        )
    import tensorflow as tf

    lengths = np.array([len(array) for array in arrays])
    return tf.RaggedTensor.from_row_lengths(np.concatenate(arrays), lengths)


def _kind(value: Any) -> str:
    if isinstance(value, _WORDS):
        return "words"
    if isinstance(value, _NUMBERS):
        return "a number"
    if isinstance(value, (list, tuple)) or hasattr(value, "__array__"):
        return "an array" if _dimensions(value) else "a number"
    if hasattr(value, "__array_interface__"):
        return "an array"
    return f"an object of type {type(value).__name__}"


def _is_whole(value: Any) -> bool:
    """Whether a part of a list is data by itself, rather than one row."""
    return isinstance(value, dict) or hasattr(value, "to_numpy") or _dimensions(value) > 0


def _dimensions(value: Any) -> int:
    shape = getattr(value, "shape", None)
    if shape is not None:
        return len(shape)
    if isinstance(value, (list, tuple)):
        return 1 + (_dimensions(value[0]) if len(value) else 0)
    return 0


def refuse_missing_words(words: Iterable[Any], name: str) -> None:
    """Refuse words of which some are `None`, NaN or pandas' mark of what is missing.

    Args:
        words: Words, in bytes or not, and what stands where there is none.
        name: What the message calls them.

    Raises:
        ValueError: If one is missing; the first is told.
    """
    # NaN, which tables hold in the place of a word, differs from itself.
    refuse_where(
        (_is_missing(each) or (isinstance(each, float) and each != each) for each in words), name
    )


def refuse_where(missing: Iterable[bool], name: str) -> None:
    """Refuse data of which some are missing, as `missing` says of each, by the first one's row."""
    places = [place for place, each in enumerate(missing) if each]
    if places:
        raise ValueError(_missing(name, places[0], len(places)))


def _is_missing(value: Any) -> bool:
    # pandas.NA and NaT compare with nothing, themselves included.
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def _missing(name: str, place: int, count: int) -> str:
    return (
        f"Nothing may be missing in {name}: leave the rows out, or fill them. "
        f"Received: {count} missing value{'s' * (count > 1)}, the first in row {place}"
    )
