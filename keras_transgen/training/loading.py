"""Whether a model is being made of a file, which may be of an earlier version."""

from __future__ import annotations

import contextlib
import contextvars
import warnings
from collections.abc import Iterator

_LOADING = contextvars.ContextVar("loading a file", default=False)


@contextlib.contextmanager
def files_load() -> Iterator[None]:
    """Within a `with` block files of earlier versions load, with parts that are refused today."""
    token = _LOADING.set(True)
    try:
        yield
    finally:
        _LOADING.reset(token)


def loading_a_file() -> bool:
    """Whether a model is being made of a file."""
    return _LOADING.get()


def refuse_or_tell(message: str) -> None:
    """Raise a `ValueError`, or warn where the model comes from a file: it loads, and is told of.

    Args:
        message: What is wrong and what to do.
    """
    if not loading_a_file():
        raise ValueError(message)
    warnings.warn(message, stacklevel=3)
