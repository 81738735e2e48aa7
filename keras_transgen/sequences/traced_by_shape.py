"""Functions of tensors whose shapes are few, and known to be so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


class TracedByShape:
    """A `tf.function` that is traced once for each shape of its inputs.

    TensorFlow warns where it traces often; here each new shape is meant to be.

    Args:
        function: Of tensors, in tuples or not.
        jit_compile: Whether XLA compiles it.
    """

    def __init__(self, function: Callable[..., Any], jit_compile: bool) -> None:
        self._function = tf.function(function, jit_compile=jit_compile, autograph=False)
        self._by_shape: dict[Any, Callable[..., Any]] = {}

    def __call__(self, *inputs: Any) -> Any:
        if not tf.executing_eagerly():
            return self._function(*inputs)
        tensors = tf.nest.map_structure(tf.convert_to_tensor, inputs)
        key = tuple((tuple(each.shape), each.dtype) for each in tf.nest.flatten(tensors))
        if key not in self._by_shape:
            self._by_shape[key] = self._function.get_concrete_function(*tensors)
        return self._by_shape[key](*tensors)

    def experimental_get_tracing_count(self) -> int:
        """How often it was traced, as `tf.function` says it."""
        return self._function.experimental_get_tracing_count()
