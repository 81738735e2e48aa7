"""Modules that take one example instead of a batch, as those for sound do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def takes_one_example(input_spec: Any, batch_axis: bool | None) -> bool:
    """Whether a module's input has no batch axis.

    Args:
        input_spec: A `tf.TensorSpec`, or a dict or list of them.
        batch_axis: What the user says; `None` for a rule: a single input of floats along one axis
            is one waveform. Whole numbers and strings along one axis are batches of labels and
            texts.

    Raises:
        ValueError: It is no truth value, or there is no axis that could be the batch's.
    """
    if not (batch_axis is None or isinstance(batch_axis, bool)):
        raise ValueError(
            f"batch_axis must be True, False or None. Received: batch_axis={batch_axis!r}"
        )
    if batch_axis and any(spec.shape.rank == 0 for spec in tf.nest.flatten(input_spec)):
        raise ValueError(
            "This module takes a scalar, so there is no batch axis: use batch_axis=False. "
            f"Received: batch_axis=True, inputs {input_spec}"
        )
    if batch_axis is not None:
        return not batch_axis
    is_single = isinstance(input_spec, tf.TensorSpec)
    return is_single and input_spec.dtype.is_floating and input_spec.shape.rank == 1


def with_batch_axis(specs: Any) -> Any:
    """Specifications of batches of what has these specifications.

    Args:
        specs: A `tf.TensorSpec`, or a dict or list of them.
    """
    return tf.nest.map_structure(
        lambda spec: tf.TensorSpec(
            None if spec.shape.rank is None else [None, *spec.shape], spec.dtype
        ),
        specs,
    )


def run_by_example(
    function: Callable[[Any], Any], inputs: Any, example_spec: Any, output_spec: Any
) -> Any:
    """Run a function on each example of a batch, and stack what it gives.

    Args:
        function: Takes one example and gives its outputs.
        inputs: Tensors `[batch, ...]`, in any structure.
        example_spec: Specifications of the outputs of one example.
        output_spec: The same with the batch axis.

    Returns:
        Tensors `[batch, ...]`, in the structure of `output_spec`.
    """
    outputs = tf.map_fn(function, inputs, fn_output_signature=example_spec)
    return tf.nest.map_structure(
        lambda output, spec: tf.ensure_shape(output, spec.shape), outputs, output_spec
    )
