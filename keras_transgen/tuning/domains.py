"""What a hyperparameter may be: one value, a choice of several, or a range."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

_RANGE_KEYS = ("min_value", "max_value", "step", "sampling", "default")
_SAMPLINGS = ("linear", "log", "reverse_log")
_PLAIN = (str, int, float, bool)


@dataclasses.dataclass(frozen=True)
class Fixed:
    """One value, which is not searched for.

    Attributes:
        value: Anything.
    """

    value: Any

    def described(self) -> Any:
        """The value as JSON can hold it."""
        return _described(self.value)

    def possible(self) -> list[Any]:
        """What it may be."""
        return [self.value]


@dataclasses.dataclass(frozen=True)
class Choices:
    """One of several values: labels are what Keras Tuner chooses from, words or numbers."""

    labels: tuple[Any, ...]
    values: tuple[Any, ...]

    def declare(self, hp: Any, name: str) -> None:
        """Register the choice; the first is Keras Tuner's default."""
        hp.Choice(name, list(self.labels), default=self.labels[0])

    def value(self, label: Any) -> Any:
        """What a label stands for.

        Numbers that travelled to a worker come back as the nearest of single precision.
        """
        if label in self.labels:
            return self.values[self.labels.index(label)]
        if isinstance(label, float):
            near = min(self.labels, key=lambda each: abs(each - label))
            if math.isclose(near, label, rel_tol=1e-5):
                return self.values[self.labels.index(near)]
        raise ValueError(f"Expected one of {list(self.labels)}. Received: {label!r}")

    def described(self) -> Any:
        """The labels, with what is behind them."""
        return [
            label if label is value else [label, _described(value)]
            for label, value in zip(self.labels, self.values)
        ]

    def possible(self) -> list[Any]:
        """What it may be."""
        return list(self.values)


@dataclasses.dataclass(frozen=True)
class Range:
    """Any number between two, as Keras Tuner's `hp.Int` and `hp.Float` take it."""

    min_value: float
    max_value: float
    step: float | None
    sampling: str
    default: float

    def declare(self, hp: Any, name: str) -> None:
        """Register the range: of integers if both ends are."""
        (hp.Int if self._is_whole() else hp.Float)(name, **dataclasses.asdict(self))

    def value(self, label: Any) -> Any:
        """The number itself."""
        return label

    def described(self) -> Any:
        """As the user would write it."""
        return dataclasses.asdict(self)

    def possible(self) -> list[Any]:
        """What it may be: all its whole numbers, or the two ends where there are others."""
        if not self._is_whole():
            return [self.min_value, self.max_value]
        low, high = int(self.min_value), int(self.max_value)
        if self.sampling == "linear":
            return list(range(low, high + 1, int(self.step or 1)))
        if self.sampling == "log" and self.step is not None:
            powers = range(int(math.log(high / low, self.step) + 1e-9) + 1)
            return [int(low * self.step**power) for power in powers]
        return list(range(low, high + 1))

    def _is_whole(self) -> bool:
        return isinstance(self.min_value, int) and isinstance(self.max_value, int)


Domain = Fixed | Choices | Range


def domain_of(name: str, given: Any) -> Domain:
    """Read what a user gave for a hyperparameter.

    Args:
        name: The hyperparameter.
        given: A list or tuple of choices; a dict of labels and the choices they stand for; a dict
            with `min_value` and `max_value` (and `step`, `sampling`, `default`) for a range; or
            anything else for one fixed value.

    Raises:
        ValueError: There is no choice, two bear one label, or the range is none.
    """
    if isinstance(given, Mapping) and "min_value" in given:
        return _range(name, dict(given))
    if isinstance(given, Mapping):
        pairs = [(str(label), value) for label, value in given.items()]
    elif isinstance(given, (list, tuple, range, np.ndarray)):
        pairs = _labelled([_plain(value) for value in given])
    else:
        return Fixed(_plain(given))
    if not pairs:
        raise ValueError(
            f"A hyperparameter needs at least one choice: give {name!r} some, a fixed value, or "
            f"leave it out for its default. Received: space={{{name!r}: {given!r}}}"
        )
    labels, values = zip(*pairs)
    if len(set(labels)) < len(labels):
        raise ValueError(
            "Choices must differ; a dict from labels to values names layers and functions. "
            f"Received: space={{{name!r}: ...}} with the choices {list(labels)}"
        )
    return Fixed(values[0]) if len(values) == 1 else Choices(labels, values)


def log_range(low: float, high: float, default: float) -> dict[str, Any]:
    """A range of numbers whose order of magnitude matters; some tuners begin at the default."""
    return {"min_value": low, "max_value": high, "sampling": "log", "default": default}


def _range(name: str, given: dict[str, Any]) -> Domain:
    unknown = [key for key in given if key not in _RANGE_KEYS]
    low, high = _plain(given["min_value"]), _plain(given.get("max_value"))
    sampling, step = given.get("sampling", "linear"), _plain(given.get("step"))
    numbers = all(isinstance(each, (int, float)) for each in (low, high))
    wrong = (
        unknown
        or not numbers
        or not low < high
        or sampling not in _SAMPLINGS
        or (sampling != "linear" and (low <= 0 or (step is not None and step <= 1)))
        or (step is not None and not step > 0)
    )
    if wrong:
        raise ValueError(
            f"A range is a dict of min_value below max_value and, if wanted, step, sampling (one "
            f"of {_SAMPLINGS}; not 'linear' only above zero, with a step above 1) and default. "
            f"Received: space={{{name!r}: {given!r}}}"
        )
    if not (isinstance(low, int) and isinstance(high, int)):
        low, high = float(low), float(high)
    default = _plain(given.get("default", low))
    if not low <= default <= high:
        raise ValueError(
            f"The default of a range must lie in it. Received: space={{{name!r}: {given!r}}}"
        )
    return Range(low, high, step, sampling, default)


def _labelled(values: list[Any]) -> list[tuple[Any, Any]]:
    """Labels for choices: themselves where Keras Tuner takes them, words otherwise."""
    kinds = {type(value) for value in values}
    if kinds == {int, float}:
        values, kinds = [float(value) for value in values], {float}
    if len(kinds) == 1 and kinds <= {str, int, float}:
        return [(value, value) for value in values]
    return [(_word(value), value) for value in values]


def _word(value: Any) -> str:
    if value is None or isinstance(value, (*_PLAIN, list, tuple, dict)):
        return "none" if value is None else str(value)
    return str(getattr(value, "name", None) or getattr(value, "__name__", None) or value)


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's."""
    return value.item() if isinstance(value, np.generic) else value


def _described(value: Any) -> Any:
    if value is None or isinstance(value, _PLAIN):
        return value
    if isinstance(value, (list, tuple)):
        return [_described(each) for each in value]
    if isinstance(value, dict):
        return {str(key): _described(each) for key, each in value.items()}
    # Names of layers and addresses of functions differ from one start of a program to the next.
    if isinstance(value, keras.layers.Layer):
        return type(value).__name__
    return getattr(value, "__name__", type(value).__name__)
