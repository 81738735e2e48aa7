"""Labels that are names, as numbers, in an order that does not depend on the order of examples."""

from __future__ import annotations

import itertools
import unicodedata
import warnings
from collections.abc import Callable, Sequence

import numpy as np

from keras_transgen.datasets.class_names import is_number, sorted_names
from keras_transgen.datasets.printable import printable

# What tables write where they have nothing, and readers that guess take for it.
_MISSING = frozenset({"na", "n/a", "#n/a", "nan", "null", "none", "<na>", "?"})


def number_labels(
    names: Sequence[str],
    class_names: Sequence[str] | None,
    place: Callable[[int], str],
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The position of each name among the classes, and the classes.

    Args:
        names: The class of each example.
        class_names: The classes in the order wanted; `None` for those that are found, sorted:
            numbers by their value (`"2"` before `"10"`), others as text.
        place: Where an example is, for errors.

    Returns:
        `(labels, class_names)`: int64 `[count]`, and a tuple.

    Raises:
        ValueError: If a name is not among `class_names`, a class is named twice, all examples have
            one class, or one number is written in two ways (`"1"` and `"1.0"`) and no
            `class_names` say that both are classes.
    """
    given = class_names is not None
    classes = tuple(class_names) if class_names is not None else sorted_names(names)
    number = {name: position for position, name in enumerate(classes)}
    if isinstance(class_names, str) or len(number) != len(classes):
        raise ValueError(
            f"Expected class_names to name each class once. Received: class_names={class_names!r}"
        )
    if given:
        for position, name in enumerate(names):
            if name not in number:
                raise ValueError(
                    f"Expected labels among class_names={printable(list(classes))}. "
                    f"Received: {printable(name)!r} in {place(position)}"
                )
    elif len(classes) < 2:
        raise ValueError(
            "Expected examples of at least two classes. Look whether this is the column or part of "
            "the name that says the class, and pass class_names= if others are known. "
            f"Received: {len(names)} example(s) of the class {printable(classes[0])!r}"
        )
    else:
        _refuse_two_spellings(classes, names, place)
        _refuse_look_alikes(classes, names, place)
        _warn_of_missing(classes, names, place)
    return np.array([number[name] for name in names], "int64"), classes


def _refuse_two_spellings(
    classes: Sequence[str], names: Sequence[str], place: Callable[[int], str]
) -> None:
    if not all(map(is_number, classes)):
        return
    for first, second in itertools.pairwise(classes):
        if float(first) == float(second):
            raise ValueError(
                "Expected each number to be written in one way. Write labels alike, or pass "
                f"class_names= if both are classes. Received: {printable(first)!r} and "
                f"{printable(second)!r}, this one first in {place(list(names).index(second))}"
            )


def _refuse_look_alikes(
    classes: Sequence[str], names: Sequence[str], place: Callable[[int], str]
) -> None:
    """Names that differ in what nobody sees: how an accent is encoded, or invisible characters."""
    seen: dict[str, str] = {}
    for name in classes:
        visible = "".join(each for each in name if unicodedata.category(each) != "Cf")
        first = seen.setdefault(unicodedata.normalize("NFC", visible), name)
        if first != name:
            raise ValueError(
                "Expected each class to be written in one way. Write labels alike, "
                "unicodedata.normalize('NFC', label), or pass class_names= if both are classes. "
                f"Received: {first!a} and {name!a}, which look the same, this one first "
                f"in {place(list(names).index(name))}"
            )


def _warn_of_missing(
    classes: Sequence[str], names: Sequence[str], place: Callable[[int], str]
) -> None:
    for name in classes:
        if name.lower() in _MISSING:
            warnings.warn(
                f"The label {printable(name)!r}, which often stands for a missing one, is taken "
                f"for a class: {list(names).count(name)} example(s), the first in "
                f"{place(list(names).index(name))}",
                stacklevel=4,
            )
