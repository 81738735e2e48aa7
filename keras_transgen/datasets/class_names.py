"""Labels that are names: which classes there are, and the number of each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from keras_transgen.datasets.as_arrays import refuse_missing_words
from keras_transgen.datasets.printable import printable

_SHOWN = 5


def checked_class_names(names: Any, least: int = 2) -> tuple[str, ...]:
    """Names of classes as a tuple of strings.

    Args:
        names: A sequence of names, in the order of the class numbers.
        least: How many there must be. Defaults to 2.

    Raises:
        ValueError: They are no strings, too few, empty, or not distinct.
    """
    is_sequence = not isinstance(names, (str, bytes)) and isinstance(names, Iterable)
    listed = list(names) if is_sequence else []
    if not is_sequence or not all(isinstance(each, str) for each in listed):
        raise ValueError(
            "class_names must be a list of names, in the order of the class numbers. "
            f"Received: class_names={printable(repr(names), 200)}"
        )
    repeated = sorted(each for each, count in Counter(listed).items() if count > 1)
    if len(listed) < least or repeated or "" in listed:
        found = f"the name {repeated[0]!r} twice" if repeated else f"{len(listed)} names"
        found = "an empty name" if "" in listed else found
        raise ValueError(
            f"class_names must be {least} or more names that differ. Received: {found}"
        )
    return tuple(str(each) for each in listed)


def sorted_names(names: Iterable[str]) -> tuple[str, ...]:
    """Each name once: by value if all of them are numbers, otherwise as text."""
    found = set(names)
    if all(map(is_number, found)):
        return tuple(sorted(found, key=lambda name: (float(name), name)))
    return tuple(sorted(found))


def is_number(name: str) -> bool:
    """Whether a name is a finite number."""
    try:
        return math.isfinite(float(name))
    except ValueError:
        return False


def are_names(labels: Any) -> bool:
    """Whether labels are words, or pandas categories that are."""
    categories = _categories(labels)
    dtype = getattr(labels if categories is None else categories, "dtype", None)
    if dtype is None:
        return False
    kind = getattr(dtype, "kind", "")
    return kind in ("U", "S") or (
        kind in ("O", "T") and _first(labels if categories is None else categories) is str
    )


def _first(values: Any) -> type | None:
    flat = np.asarray(values, object).ravel()
    return str if flat.size and isinstance(flat[0], (str, bytes)) else None


def _categories(labels: Any) -> Any:
    return getattr(labels, "categories", getattr(getattr(labels, "cat", None), "categories", None))


def names_in(labels: Any) -> tuple[str, ...]:
    """The classes that labels name, sorted; pandas categories in their own order.

    Args:
        labels: An array of words, or categories.

    Example:
        ```python
        from keras_transgen.datasets.class_names import names_in

        assert names_in(["10", "9", "10"]) == ("9", "10")
        ```
    """
    categories = _categories(labels)
    if categories is not None:
        used = set(_words(np.asarray(labels, object)).tolist())
        return tuple(each for each in _words(np.asarray(categories)).tolist() if each in used)
    return sorted_names(set(_words(np.asarray(labels)).ravel().tolist()))


def numbers_of(labels: Any, class_names: Sequence[str]) -> np.ndarray:
    """The class number of each name.

    Args:
        labels: An array of words of any shape.
        class_names: Names by number.

    Returns:
        int64, of the shape of the labels.

    Raises:
        ValueError: A name is none of the classes.
    """
    words = _words(np.asarray(labels, object))
    number = {name: place for place, name in enumerate(class_names)}
    unknown = sorted(set(words.ravel().tolist()) - set(number))
    if unknown:
        told = ", ".join(repr(each) for each in unknown[:_SHOWN])
        known = ", ".join(repr(each) for each in class_names[:_SHOWN])
        more = ", ..." if len(class_names) > _SHOWN else ""
        raise ValueError(
            f"Labels must be names of classes: {known}{more}. Received: {len(unknown)} other "
            f"name{'s' * (len(unknown) > 1)}: {printable(told, 300)}"
        )
    flat = [number[each] for each in words.ravel().tolist()]
    return np.array(flat, "int64").reshape(words.shape)


def _words(labels: np.ndarray) -> np.ndarray:
    """Words as an array of `str`.

    Raises:
        ValueError: If one is missing (`None`, NaN or pandas' own), which would be a class else.
    """
    if labels.dtype.kind == "U":
        return labels
    refuse_missing_words(labels.ravel(), "labels")
    decoded = [each.decode() if isinstance(each, bytes) else str(each) for each in labels.ravel()]
    return np.array(decoded, object).reshape(labels.shape)
