"""What a file may say in the configuration of a class of this package, and what it may not.

Keras hands every key of a file's configuration to a constructor, and our constructors take what
their user may say: addresses, paths, permissions, functions. A `from_config` is where a file
speaks. It says numbers, shapes, names that are looked up in a table, digests, and objects that the
file describes itself; everything else is refused here, before anything is contacted or written.

What Python alone can hold (networks, functions) did not come from a file, and passes: `from_config`
with live objects is how the package copies its own models.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

import keras

_ADDRESS = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*:/")
_SHOWN = 120
# Keras' classes for how numbers are held, the one object that layers take as a plain argument.
_POLICY = re.compile(r"\w*DTypePolicy(?:Map)?")
# Where Keras keeps functions that compute with tensors and do nothing else.
_FUNCTIONS = (
    "activations",
    "constraints",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "ops",
    "random",
    "regularizers",
)
# What Keras turns into arrays. Text has no place among them: its length is part of the type.
_ARRAYS = ("__numpy__", "__tensor__")
_ARRAY_TYPE = re.compile(r"bool|(?:u?int|b?float)\d{1,2}|string|complex(?:64|128)")


class FileConfigError(ValueError):
    """A file's configuration says what only its user may say."""


@dataclasses.dataclass(frozen=True)
class Nested:
    """An argument that a file gives as an object, which it describes whole.

    Args:
        kind: The class of which the object must be an instance, or a tuple of classes.
        optional: Whether it may be absent or `None`.
        names: Whether a name is taken too, because the constructor looks it up in a table.
        numbers: Whether a number is taken too.
        functions: Whether a function is taken too: one that the user has registered with Keras, or
            one of Keras' own that compute.
    """

    kind: Any
    optional: bool = False
    names: bool = False
    numbers: bool = False
    functions: bool = False


def arguments_from_file(cls: type, config: Mapping[str, Any], **nested: Nested) -> dict[str, Any]:
    """The arguments of a constructor, as far as a file may give them.

    Returns:
        The arguments, nested objects made.
    """
    arguments = dict(config)
    for key, value in config.items():
        if key not in nested:
            # Keras itself reads the policies that it writes.
            check_plain(value, f"{cls.__name__}.{key}", described=key == "dtype")
    for key, rule in nested.items():
        if key in config or not rule.optional:
            arguments[key] = _made(config.get(key), rule, f"{cls.__name__}.{key}")
    return arguments


def refuse_arguments(cls: type, config: Mapping[str, Any], *names: str) -> None:
    """Refuse arguments that are the user's alone."""
    for name in names:
        if config.get(name) not in (None, False):
            raise FileConfigError(
                f"{name} is for the user of {cls.__name__} to say, never for a file: set it in "
                f"Python after loading. Received: a file with {name}={shown(config[name])}"
            )


def check_plain(value: Any, place: str, described: bool = False) -> None:
    """Refuse addresses, and objects where none is expected, in what a file says."""
    for each in nested_in(value):
        if isinstance(each, str) and _ADDRESS.match(each):
            raise FileConfigError(
                f"A file names no address: {place} must be a number, a name or a shape. Ask the "
                f"file's author for one that holds everything. Received: {shown(each)}"
            )
        is_object = isinstance(each, Mapping) and "class_name" in each
        if is_object and not (described and _is_policy(each)):
            raise FileConfigError(
                f"{place} is no object, so a file must not describe one there. Ask the file's "
                f"author for another. Received: an object {shown(each['class_name'])}"
            )


def nested_in(config: Any) -> Iterator[Any]:
    """Every value in a configuration, itself and the keys included; without recursion."""
    waiting = [config]
    while waiting:
        each = waiting.pop()
        yield each
        if isinstance(each, Mapping):
            waiting += [*each, *each.values()]
        elif isinstance(each, (list, tuple)):
            waiting += each


def _is_policy(config: Mapping[str, Any]) -> bool:
    return _POLICY.fullmatch(str(config["class_name"])) is not None


def check_objects(config: Any) -> None:
    """Refuse what Keras would make of a configuration and that does more than compute.

    Keras looks functions and classes up in all that it exports, downloads among them, and hands
    them to layers that call them.
    """
    for each in nested_in(config):
        if isinstance(each, Mapping) and "class_name" in each:
            _check_object(each)


def _check_object(config: Mapping[str, Any]) -> None:
    name, module = config["class_name"], config.get("module")
    if name in _ARRAYS:
        inner = config.get("config")
        dtype = inner.get("dtype") if isinstance(inner, Mapping) else None
        if not isinstance(dtype, str) or not _ARRAY_TYPE.fullmatch(dtype):
            raise FileConfigError(
                "An array in a file's configuration must be of numbers. Ask the file's author for "
                f"another. Received: dtype={shown(dtype)}"
            )
    if not isinstance(module, str) or module.split(".")[0] != "keras":
        # Keras finds nothing there but what the user has registered.
        return
    named = config.get("config") if name == "function" else name
    if isinstance(named, str) and not _only_computes(module, named, name == "function"):
        raise FileConfigError(
            "A file names layers, losses and functions that compute, nothing that reads, writes or "
            "fetches. Ask the file's author for another. "
            f"Received: {shown(f'{module}.{named}')}"
        )


def _only_computes(module: str, name: str, function: bool) -> bool:
    parts = module.split(".")[1:]
    if parts[:1] and parts[0] in _FUNCTIONS:
        return True
    found = _exported(module, name)
    return not function if found is None else inspect.isclass(found)


def _exported(module: str, name: str) -> Any:
    """What Keras exports under a name, or `None`."""
    try:
        return functools.reduce(getattr, [*module.split(".")[1:], *name.split(".")], keras)
    except AttributeError:
        return None


def _made(value: Any, rule: Nested, place: str) -> Any:
    if value is None and rule.optional:
        return None
    if isinstance(value, bool) or (isinstance(value, (int, float)) and not rule.numbers):
        raise _unexpected(value, rule, place)
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, str):
        if not rule.names or _ADDRESS.match(value) or "/" in value or "\\" in value:
            raise _unexpected(value, rule, place)
        return value
    if isinstance(value, Mapping):
        return _from_description(value, rule, place)
    if isinstance(value, (list, tuple)):
        made = [_made(each, dataclasses.replace(rule, names=False), place) for each in value]
        if not made:
            raise _unexpected(value, rule, place)
        return made
    if value is None:
        raise _unexpected(value, rule, place)
    return value


def _from_description(value: Mapping[str, Any], rule: Nested, place: str) -> Any:
    is_function = value.get("class_name") == "function"
    if "class_name" not in value or "config" not in value or (is_function and not rule.functions):
        raise _unexpected(value, rule, place)
    check_objects(value)
    made = keras.saving.deserialize_keras_object(_copied(value))
    if not (is_function and callable(made)) and not isinstance(made, rule.kind):
        raise _unexpected(value, rule, place)
    return made


def _copied(value: Any) -> Any:
    """The same configuration: Keras takes it apart while it reads it."""
    if isinstance(value, Mapping):
        return {key: _copied(each) for key, each in value.items()}
    return [_copied(each) for each in value] if isinstance(value, list) else value


def _unexpected(value: Any, rule: Nested, place: str) -> FileConfigError:
    kinds = rule.kind if isinstance(rule.kind, tuple) else (rule.kind,)
    expected = " or ".join(kind.__name__ for kind in kinds)
    more = [word for word, taken in (("a name", rule.names), ("a number", rule.numbers)) if taken]
    more += ["a function that you have registered with Keras"] if rule.functions else []
    said = value.get("class_name", value) if isinstance(value, Mapping) else value
    return FileConfigError(
        f"{place} must be described whole in the file, as {', or '.join([expected, *more])}; a "
        "file names no address, no path and nobody else's function. If you trust what it names, "
        f"make the object in Python and hand it over. Received: {shown(said)}"
    )


def shown(value: Any) -> str:
    """A stranger's value for a message: short, and nothing in it that moves a terminal."""
    text = repr(value)
    text = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return text.encode("ascii", "backslashreplace").decode()
