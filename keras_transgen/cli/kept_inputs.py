"""No command writes over what it reads."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from keras_transgen.cli.options import EMBEDDED

# Arguments that may be folders of data, which are read again where a run goes on.
FOLDERS_OF_DATA = ("images", "others", "data", "validation", "validation_images")


def keeps_its_inputs(command: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps a command: its `output` must be none of the other places that it is given.

    Nor may it lie among the data of a training that can be gone on with, which reads them again.

    Args:
        command: What runs it; others than those with an argument `output` are left alone.
    """
    signature = inspect.signature(command)
    if "output" not in signature.parameters:
        return command

    @functools.wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        arguments = signature.bind(*args, **kwargs).arguments
        refuse_written_inputs(arguments)
        if "restart" in signature.parameters:
            refuse_output_among_data(arguments)
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


def refuse_output_among_data(arguments: Mapping[str, Any]) -> None:
    """Refuse an output within a folder that is read: it would be a class, or data, of the next run.

    Args:
        arguments: A command's, by name; `output` among them.

    Raises:
        ValueError: The output lies in a folder of data.
    """
    output = arguments.get("output")
    if output is None:
        return
    above = [each for each in Path(output).absolute().parents if each.exists()]
    for name in FOLDERS_OF_DATA:
        given = arguments.get(name)
        for each in given if isinstance(given, (list, tuple)) else [given]:
            if not isinstance(each, (str, Path)) or each == EMBEDDED or not Path(each).is_dir():
                continue
            if any(os.path.samefile(each, folder) for folder in above):
                raise ValueError(
                    "What is written would lie among the data that are read. Give an --output "
                    f"outside of them. Received: {output}, which is in {each}"
                )
