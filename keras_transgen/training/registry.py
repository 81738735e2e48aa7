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

    Example:
        ```python
        from keras_transgen.training.registry import Registry

        SHAPES = Registry("shape")

        @SHAPES.register("round")
        def circle(): ...

        assert SHAPES["round"] is circle
        ```
    """

    def __init__(self, argument: str) -> None:
        super().__init__()
        self.argument = argument

    def register(self, name: str) -> Callable[[T], T]:
        """A decorator that makes a function or a class known under a name.

        Args:
            name: The name. It replaces what stood under it.
        """

        def register(entry: T) -> T:
            self[name] = entry
            return entry

        return register

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
                f"{self.argument} must be one of {sorted(self)}{otherwise}. "
                f"Received: {self.argument}={name!r}"
            )
        return self[name]
