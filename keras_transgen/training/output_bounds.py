"""Between which numbers an operation's values lie, whatever goes in: interval arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

Interval = tuple[float, float]
ANYTHING: Interval = (-math.inf, math.inf)
_DEPTH = 64

_OF_ANY_INPUT: dict[str, Interval] = {
    "Sigmoid": (0.0, 1.0),
    "Softmax": (0.0, 1.0),
    "Tanh": (-1.0, 1.0),
    "Softsign": (-1.0, 1.0),
    "Sin": (-1.0, 1.0),
    "Cos": (-1.0, 1.0),
    "Erf": (-1.0, 1.0),
    "Relu6": (0.0, 6.0),
    "Atan": (-math.pi / 2, math.pi / 2),
    "LogSoftmax": (-math.inf, 0.0),
    "Softplus": (0.0, math.inf),
}


def _exponential(value: float) -> float:
    return math.inf if value > 700.0 else math.exp(value)


# Of one input, that grow with it.
_GROWING: dict[str, Callable[[float], float]] = {
    "Exp": _exponential,
    "Expm1": lambda value: _exponential(value) - 1.0,
    "Relu": lambda value: max(value, 0.0),
    "Sqrt": lambda value: math.sqrt(max(value, 0.0)),
    "Sign": lambda value: float(np.sign(value)),
    "Round": lambda value: value if math.isinf(value) else float(round(value)),
    "Floor": lambda value: value if math.isinf(value) else float(math.floor(value)),
}


def bounds_of(tensor: Any, passed: frozenset[str]) -> Interval:
    """Bounds of a tensor of a graph that is not run.

    Args:
        tensor: Symbolic tensor.
        passed: Kinds of operation that move values about and change none.

    Returns:
        Lowest and highest value; infinite where nothing is known.
    """
    return _bounds(tensor, passed, {}, 0)


def _bounds(
    tensor: Any, passed: frozenset[str], found: dict[str, Interval], depth: int
) -> Interval:
    # Once for each: layers in a row that use their input twice would double the ways.
    if tensor.name not in found:
        found[tensor.name] = _computed(tensor, passed, found, depth)
    return found[tensor.name]


def _computed(
    tensor: Any, passed: frozenset[str], found: dict[str, Interval], depth: int
) -> Interval:
    known = tf.get_static_value(tensor)
    if known is not None and np.size(known) and np.asarray(known).dtype.kind in "biuf":
        return float(np.min(known)), float(np.max(known))
    operation, kind = tensor.op, tensor.op.type
    if kind in _OF_ANY_INPUT:
        return _OF_ANY_INPUT[kind]
    if depth > _DEPTH:
        return ANYTHING

    def of(position: int) -> Interval:
        return _bounds(operation.inputs[position], passed, found, depth + 1)

    if kind in passed:
        return of(tensor.value_index if kind == "IdentityN" else 0)
    if kind in _GROWING:
        low, high = of(0)
        return _GROWING[kind](low), _GROWING[kind](high)
    if kind in _OF_ONE:
        return _OF_ONE[kind](of(0))
    if kind in _OF_TWO:
        return _OF_TWO[kind](of(0), of(1))
    if kind in ("Mean", "Max", "Min", "MaxPool", "AvgPool"):
        return of(0)
    if kind == "ClipByValue":
        return _OF_TWO["Minimum"](_OF_TWO["Maximum"](of(0), of(1)), of(2))
    return ANYTHING


def _times(one: Interval, other: Interval) -> Interval:
    products = [0.0 if 0.0 in (a, b) else a * b for a in one for b in other]
    return min(products), max(products)


def _reciprocal(one: Interval) -> Interval:
    low, high = one
    if low < 0.0 < high or (low == high == 0.0):
        return ANYTHING
    ends = [math.copysign(math.inf, high or low) if end == 0.0 else 1.0 / end for end in one]
    return min(ends), max(ends)


def _square(one: Interval) -> Interval:
    ends = [end * end for end in one]
    return 0.0 if one[0] <= 0.0 <= one[1] else min(ends), max(ends)


def _negative(one: Interval) -> Interval:
    return -one[1], -one[0]


def _plus(one: Interval, other: Interval) -> Interval:
    low, high = one[0] + other[0], one[1] + other[1]
    # Infinity less infinity may be anything.
    return -math.inf if math.isnan(low) else low, math.inf if math.isnan(high) else high


def _within(one: Interval, other: Interval, pick: Callable[..., float]) -> Interval:
    return pick(one[0], other[0]), pick(one[1], other[1])


_OF_ONE: dict[str, Callable[[Interval], Interval]] = {
    "Neg": _negative,
    "Abs": lambda one: _within(_square(one), (0.0, 0.0), lambda a, _: math.sqrt(a)),
    "Square": _square,
    "Reciprocal": _reciprocal,
    "Inv": _reciprocal,
}
_OF_TWO: dict[str, Callable[[Interval, Interval], Interval]] = {
    "Add": _plus,
    "AddV2": _plus,
    "BiasAdd": _plus,
    "Sub": lambda one, other: _plus(one, _negative(other)),
    "Mul": _times,
    "RealDiv": lambda one, other: _times(one, _reciprocal(other)),
    "Minimum": lambda one, other: _within(one, other, min),
    "Maximum": lambda one, other: _within(one, other, max),
}
