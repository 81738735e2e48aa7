"""What TensorFlow says of its own ops."""

from __future__ import annotations

from typing import Any

# TensorFlow has no public list of the ops that are registered in a process: `tf.raw_ops` lacks
# those of libraries that the user loaded, and says of no op whether it has side effects.
# `test_registered_ops.py` tells when this one goes.
from tensorflow.python.framework import op_def_registry

from keras_transgen.backbones.audit.allowed_ops import ALLOWED_OPS


def is_registered(op: str) -> bool:
    """Whether TensorFlow has an op of this name in this process, or would in another."""
    return op in ALLOWED_OPS or is_here(op)


def is_here(op: str) -> bool:
    """Whether TensorFlow has an op of this name in this process."""
    return op_def_registry.get(op) is not None


def is_pure(op: str) -> bool:
    """Whether TensorFlow may compute an op ahead, while it reads a graph: it changes nothing."""
    definition = op_def_registry.get(op)
    return definition is not None and not definition.is_stateful


def output_types(node: Any) -> set[int]:
    """The dtypes of a node's outputs, as numbers of `types_pb2`."""
    definition = op_def_registry.get(node.op)
    found: set[int] = set()
    for output in () if definition is None else definition.output_arg:
        if output.type_list_attr:
            found.update(node.attr[output.type_list_attr].list.type)
        elif output.type_attr:
            found.add(node.attr[output.type_attr].type)
        else:
            found.add(output.type)
    return found
