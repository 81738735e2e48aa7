"""A room's public names, imported when they are first used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from keras_transgen.changed_names import MOVED, REMOVED, removal


def lazy_names(
    room: str, homes: Mapping[str, str], parts: Iterable[str] = ()
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """`__all__`, `__getattr__` and `__dir__` of a room whose parts bring libraries of their own.

    Args:
        room: The package's `__name__`.
        homes: By public name, the module below the room that defines it; of another room, from a
            dot on (`".backbones.load"`).
        parts: Modules and packages below the room that are public themselves.
    """
    parts = tuple(parts)
    names = [*parts, *homes]

    def find(name: str) -> Any:
        if name in parts:
            return importlib.import_module(f"{room}.{name}")
        if name in homes:
            return getattr(importlib.import_module(f".{homes[name]}", room), name)
        whole = f"{room}.{name}"
        if whole.partition(".")[2] in MOVED:
            return importlib.import_module(whole)
        if whole.partition(".")[2] in REMOVED:
            raise AttributeError(removal(whole))
        raise AttributeError(f"module {room!r} has no attribute {name!r}")

    return names, find, lambda: sorted(names)
