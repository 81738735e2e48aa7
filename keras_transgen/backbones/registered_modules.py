"""Which module defines which class that a `.keras` file may name: those that the source registers.

Rooms are imported when they are first used, so in a new process Keras would not know the classes of
the others. A file says a class's name, never a module: what is imported is found in the package.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
from collections.abc import Iterable
from pathlib import Path

import keras_transgen

PACKAGE, KERASHUB = "keras_transgen>", "keras_hub>"

_REGISTERED = re.compile(
    r'^@keras\.saving\.register_keras_serializable\(package="keras_transgen"\)\n'
    r"(?:@.*\n)*(?:class|def) (\w+)",
    re.M,
)


@functools.cache
def registered_modules() -> dict[str, str]:
    """The module of each class and function that the package registers with Keras, by its name."""
    root = Path(keras_transgen.__file__).parent
    return {
        name: ".".join(("keras_transgen", *path.relative_to(root).with_suffix("").parts))
        for path in sorted(root.rglob("*.py"))
        for name in _REGISTERED.findall(path.read_text(encoding="utf-8"))
    }


def import_classes(names: Iterable[str]) -> None:
    """Import the modules of registered classes, which register themselves.

    Args:
        names: Names that Keras registers, such as `"keras_transgen>GAN"`, or KerasHub's, which is
            imported where it is installed; others are passed over.

    Example:
        ```python
        from keras_transgen.backbones.registered_modules import import_classes

        import_classes(["keras_transgen>GAN", "keras_transgen>cli.__main__"])
        ```
    """
    names = list(names)
    known = {f"{PACKAGE}{name}": module for name, module in registered_modules().items()}
    for module in sorted({known[name] for name in names if name in known}):
        importlib.import_module(module)
    if any(name.startswith(KERASHUB) for name in names) and importlib.util.find_spec("keras_hub"):
        importlib.import_module("keras_hub")
