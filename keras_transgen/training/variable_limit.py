"""A limit on the variables that are made while a stranger's file is read.

A configuration of a hundred bytes can ask for a layer of a thousand gigabytes, which is made before
anybody looks at the weights in the file. What a network takes is known from them: so it is counted
while it is built, before memory is taken.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

# As many as a file has weights, times this: optimizers, averages and base values are among them,
# and some networks are made once more while they are taken apart.
_PER_WEIGHT = 4
# Of modules, whose variables are counted by nobody else.
_PER_MODULE = 10_000
# Metrics, counters and networks that are built and thrown away.
FREE_BYTES, _FREE_COUNT = 256 * 2**20, 4000


class TooManyVariablesError(ValueError):
    """A file asks for more variables than it has values for."""


def variables_for(size: int, weights: int, modules: int = 0) -> tuple[int, int]:
    """How many bytes and how many variables a file may ask for, by what it has values for.

    Args:
        size: Bytes of its weights, modules included.
        weights: How many weights it has.
        modules: How many modules. Defaults to 0.

    Returns:
        The arguments of `limit_variables`.

    Example:
        ```python
        from keras_transgen.training.variable_limit import variables_for

        assert variables_for(1000, 2) == (4 * 1000 + 256 * 2**20, 4 * 2 + 4000)
        ```
    """
    return (
        _PER_WEIGHT * size + FREE_BYTES,
        _PER_WEIGHT * weights + _PER_MODULE * modules + _FREE_COUNT,
    )


@contextlib.contextmanager
def limit_variables(max_bytes: int, max_count: int) -> Iterator[None]:
    """Refuse to make more variables, or larger ones all together, in a `with` block.

    Raises:
        TooManyVariablesError: At the first variable beyond the limit, before it takes memory.
    """
    taken = count = 0

    def counted(next_creator: Callable[..., Any], **kwargs: Any) -> Any:
        nonlocal taken, count
        taken, count = taken + _size(kwargs), count + 1
        if taken > max_bytes or count > max_count:
            raise TooManyVariablesError(
                "The file asks for more variables than it can have values for: at most "
                f"{max_count:,} of {max_bytes:,} bytes together. It was changed, or is no whole "
                "file; get it again from where it was made. "
                f"Received: {count:,} variables of {taken:,} bytes so far"
            )
        return next_creator(**kwargs)

    with tf.variable_creator_scope(counted):
        yield


def _size(kwargs: dict[str, Any]) -> int:
    """Bytes of a variable that is about to be made; 0 where nothing says its shape."""
    shape, dtype = kwargs.get("shape"), kwargs.get("dtype")
    value = kwargs.get("initial_value")
    if callable(value):
        # TensorFlow knows no shape before the value is made; Keras' function holds its variable.
        owner = _closed_over(value).get("self")
        if isinstance(owner, keras.Variable):
            shape, dtype = owner.shape, owner.dtype
    elif shape is None:
        shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", dtype)
    try:
        axes = [int(axis) for axis in shape]  # type: ignore[union-attr]
        return math.prod(axes) * tf.as_dtype(dtype or "float32").size
    except (TypeError, ValueError):
        return 0


def _closed_over(function: Any) -> dict[str, Any]:
    code, cells = getattr(function, "__code__", None), getattr(function, "__closure__", None)
    if code is None or not cells:
        return {}
    return dict(zip(code.co_freevars, (cell.cell_contents for cell in cells)))
