"""Names that users may give in the place of a function or a class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Registry(dict[str, Any]):
    """What stands behind each name: a dictionary that is filled where the entries are defined.

    Constructors, searches, the command line and messages read it, so that an entry of a user's own
    is known everywhere as soon as it is registered.

    Args:
        argument: What the argument is called that takes the names, for messages.
        base: Returns the class that entries derive from; `None` for functions.

    Example:
        ```python
        from keras_transgen.training.registry import Registry

        SHAPES = Registry("shape")

        @SHAPES.register("round")
        def circle(): ...

        assert SHAPES["round"] is circle
        ```
    """

    def __init__(self, argument: str, base: Callable[[], type] | None = None) -> None:
        super().__init__()
        self.argument = argument
        self._base = base

    def register(self, name: str) -> Callable[[T], T]:
        """A decorator that makes a function or a class known under a name.

        Args:
            name: The name. The same definition may be registered again, as a notebook's cell does
                that is run twice.

        Raises:
            ValueError: If the name is another entry's or no string, or the entry is none for this
                argument.
        """
        if not isinstance(name, str) or not name:
            raise ValueError(
                f"Expected the name that {self.argument} shall take, as in register('mine'). "
                f"Received: {name!r}"
            )

        def register(entry: T) -> T:
            self._check(name, entry)
            self[name] = entry
            return entry

        return register

    def _check(self, name: str, entry: Any) -> None:
        base = None if self._base is None else self._base()
        if base is not None and not (isinstance(entry, type) and issubclass(entry, base)):
            raise ValueError(
                f"What is registered for {self.argument} must be a class derived from "
                f"{base.__name__}. Received: {entry!r}"
            )
        if not callable(entry):
            raise ValueError(
                f"Expected a function or class for {self.argument}={name!r}. Received: {entry!r}"
            )
        known = self.get(name)
        if known is not None and _place(known) != _place(entry):
            raise ValueError(
                f"{self.argument}={name!r} is {'.'.join(_place(known))}: choose another name. "
                f"Received: {'.'.join(_place(entry))}"
            )

    def find(self, name: Any, otherwise: str = "") -> Any:
        """The entry of a name.

        Args:
            name: What the user gave.
            otherwise: What else the argument takes, such as `" or a callable of the logits"`.

        Raises:
            ValueError: If there is no such entry.
        """
        if not isinstance(name, str) or name not in self:
            raise ValueError(
                f"{self.argument} must be one of {sorted(self)}{otherwise}. A name of one's own is "
                "known once the file that registers it is imported. "
                f"Received: {self.argument}={name!r:.200}"
            )
        return self[name]


def _place(entry: Any) -> tuple[str, str]:
    """Where an entry is defined."""
    return str(getattr(entry, "__module__", "")), str(getattr(entry, "__qualname__", entry))
