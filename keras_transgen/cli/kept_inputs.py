"""No command writes over what it reads."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def keeps_its_inputs(command: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps a command: its `output` must be none of the other places that it is given.

    Args:
        command: What runs it; others than those with an argument `output` are left alone.
    """
    signature = inspect.signature(command)
    if "output" not in signature.parameters:
        return command

    @functools.wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        refuse_written_inputs(signature.bind(*args, **kwargs).arguments)
        return command(*args, **kwargs)

    return guarded


def refuse_written_inputs(arguments: Mapping[str, Any]) -> None:
    """Refuse an output that is what is read, under whatever name.

    Args:
        arguments: A command's, by name; `output` among them.

    Raises:
        ValueError: The output is a file or folder that another argument names.
    """
    output = arguments.get("output")
    if output is None or not os.path.exists(output):
        return
    for name, given in arguments.items():
        for each in given if isinstance(given, (list, tuple)) else [given]:
            is_place = name != "output" and isinstance(each, (str, Path))
            if is_place and os.path.exists(each) and os.path.samefile(output, each):
                raise ValueError(
                    "What is read would be written over. Give another --output. "
                    f"Received: {output}, which is {each}"
                )
