"""Which of a module's outputs is wanted: by name in a dict, by position in a tuple or list."""

from __future__ import annotations

from typing import Any


def plain(structure: Any) -> Any:
    """The same structure in plain dicts and lists; a named tuple is a dict.

    Args:
        structure: What a module's function takes or gives.
    """
    if isinstance(structure, dict):
        return {key: plain(value) for key, value in structure.items()}
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return {key: plain(getattr(structure, key)) for key in structure._fields}
    if isinstance(structure, (list, tuple)):
        return [plain(value) for value in structure]
    return structure


def check_output_key(output_key: Any) -> None:
    """Refuse what is neither a name nor a position.

    Args:
        output_key: What was given, by a user or a file.

    Raises:
        ValueError: It is neither text, nor a whole number, nor `None`.
    """
    is_key = isinstance(output_key, (str, int)) and not isinstance(output_key, bool)
    if output_key is not None and not is_key:
        raise ValueError(
            "output_key must be the name of an output, its position from 0, or None. "
            f"Received: output_key={output_key!r}"
        )


def select_output(outputs: Any, output_key: str | int | None) -> Any:
    """One of several outputs, or all of them.

    Args:
        outputs: What a module's function gives, or its specifications.
        output_key: Name in a dict, position from 0 in a list or tuple, or `None` for all.

    Returns:
        The output, in plain dicts and lists.

    Raises:
        ValueError: There is no such output; what there is, is said.
    """
    outputs = plain(outputs)
    if output_key is None:
        return outputs
    if isinstance(outputs, dict):
        if output_key not in outputs:
            raise ValueError(
                f"output_key must be one of {sorted(outputs)}. Received: output_key={output_key!r}"
            )
        return outputs[output_key]
    if isinstance(outputs, list):
        if not isinstance(output_key, int) or not 0 <= output_key < len(outputs):
            raise ValueError(
                f"This module gives {len(outputs)} outputs by position, so output_key is from 0 to "
                f"{len(outputs) - 1}: {_listed(outputs)}. Received: output_key={output_key!r}"
            )
        return outputs[output_key]
    raise ValueError(
        "This module gives one tensor, neither a dict nor a tuple: leave output_key away. "
        f"Received: output_key={output_key!r}"
    )


def _listed(outputs: list[Any]) -> str:
    """Positions with the shapes that lie there."""
    return "; ".join(f"{place} is {_in_words(each)}" for place, each in enumerate(outputs))


def _in_words(output: Any) -> str:
    if isinstance(output, dict):
        return f"a dict of {sorted(output)}"
    if isinstance(output, list):
        return f"a list of {len(output)}"
    rank = output.shape.rank
    shape = "of any shape" if rank is None else str(list(output.shape)).replace("None", "any")
    return f"{output.dtype.name} {shape}"
