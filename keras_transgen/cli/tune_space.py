"""The search space of `keras-transgen tune`, as the command line says it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


def space_of(parts: Sequence[str]) -> dict[str, Any]:
    """Read parts of a search space from the command line.

    Args:
        parts: `"name=value"`, `"name=one,other"`, `"name=lowest:highest"` or
            `"name=lowest:highest:log"`; numbers, `true`, `false` and words.

    Returns:
        What the HyperModels take as `space=`.

    Raises:
        ValueError: If a part cannot be read.

    Example:
        ```python
        from keras_transgen.cli.tune_space import space_of

        assert space_of(["rank=4,8", "kind=feature"]) == {"rank": [4, 8], "kind": "feature"}
        ```
    """
    space: dict[str, Any] = {}
    for part in parts:
        name, equals, text = part.partition("=")
        limits = text.split(":")
        if not equals or not name or not text or len(limits) > 3 or name in space:
            raise ValueError(
                "--space takes name=value, name=one,other or name=lowest:highest[:log], each name "
                f"once. Received: --space {part}"
            )
        if len(limits) > 1:
            low, high = (_value(limit) for limit in limits[:2])
            sampling = limits[2] if len(limits) == 3 else "linear"
            space[name] = {"min_value": low, "max_value": high, "sampling": sampling}
        else:
            values = [_value(word) for word in text.split(",") if word]
            space[name] = values if "," in text else values[0]
    return space


def _value(word: str) -> Any:
    try:
        return json.loads(word)
    except ValueError:
        return word
