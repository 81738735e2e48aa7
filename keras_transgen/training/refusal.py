"""One way in which files are refused: a `ValueError`, in text that moves no terminal.

What Keras, TensorFlow and HDF5 make of a changed file ends in errors of any kind, and their
messages and warnings say what the file says.
"""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator
from typing import Any

from keras_transgen.datasets.printable import printable_lines

_LONGEST = 10_000
# Of what Keras says of a class or function that it does not find: it goes on with the whole file.
_SHOWN = 300
# What Keras says of classes and functions that nobody has registered.
_UNKNOWN = re.compile(r"Could not locate (class|function) ('[^']{1,200}')")
# What was told before, as Python keeps it for each place that warns.
_told: dict[Any, Any] = {}


@contextlib.contextmanager
def refusals(what: str) -> Iterator[None]:
    r"""Let a `with` block that reads a file fail by a `ValueError` alone.

    An error of another kind, running out of memory among them, becomes one and is its cause; a
    `ValueError` stays as it is. Control characters in either, and in warnings, are spelt out.
    """
    failure: Exception | None = None
    with warnings.catch_warnings(record=True) as told:
        # The user's own filters decide when they are told again.
        warnings.simplefilter("always")
        try:
            yield
        except Exception as error:
            failure = error
    if failure is None:
        _tell(told)
        return
    with contextlib.suppress(Warning):
        _tell(told)
    # Python shows the causes of an error with it.
    clean = all(_is_printable(each) for each in _shown_with(failure))
    if isinstance(failure, ValueError) and clean:
        raise failure
    text = printable_lines(str(failure)[:_LONGEST])
    if unknown := _UNKNOWN.search(text):
        text = (
            f"{what} names {unknown[1]} {unknown[2]}, which is not known here. Import the file "
            "that defines and registers it, or pass it in custom_objects=, and load again. "
            f"Received: {type(failure).__name__}: {text[:_SHOWN]}"
        )
    elif not isinstance(failure, ValueError):
        text = (
            f"{what} cannot be loaded: it is changed or damaged, or needs another version. Get it "
            f"again from where it was made. Received: {type(failure).__name__}: {text}"
        )
    raise ValueError(text) from (failure if clean else None)


def _tell(told: list[warnings.WarningMessage]) -> None:
    for each in told:
        text = str(each.message)
        message: Any = each.message if text == printable_lines(text) else printable_lines(text)
        warnings.warn_explicit(
            message, each.category, each.filename, each.lineno, registry=_told, source=each.source
        )


def _shown_with(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        hidden = error.__suppress_context__
        error = error.__cause__ or (None if hidden else error.__context__)


def _is_printable(error: BaseException) -> bool:
    texts = [str(error), *getattr(error, "__notes__", ())]
    return all(text == printable_lines(text) for text in texts)
