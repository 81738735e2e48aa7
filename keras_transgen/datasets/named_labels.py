"""Labels that are names, as numbers, in an order that does not depend on the order of examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from keras_transgen.datasets.class_names import sorted_names
from keras_transgen.datasets.printable import printable


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
        ValueError: If a name is not among `class_names`, a class is named twice, or all examples
            have one class.
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
    return np.array([number[name] for name in names], "int64"), classes
