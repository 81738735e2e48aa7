"""Constants: what they may hold, and how large what is made of them may become.

A constant says its shape and may say its value once, for all elements. And TensorFlow computes
constants out of constants while it imports a graph, to know shapes: `Fill` of 2^31 elements, of
which one is used, takes all memory before anything of the module is called.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2

from keras_transgen.backbones.audit.attributes import OPAQUE_TYPES
from keras_transgen.backbones.audit.module_graph import ModuleGraph, data_inputs
from keras_transgen.backbones.audit.registered_ops import is_pure, output_types

#: Bytes that one constant may take beyond those that the file holds for it, and all of them.
MAX_CONSTANT_BYTES = 64 * 2**20
MAX_CONSTANTS_BYTES = 512 * 2**20
#: Elements of what may be computed out of constants alone, where TensorFlow may want its value.
MAX_COMPUTED_ELEMENTS = 2**22

_TEXT_BYTES = 32
_INFINITY = 2**62
_VALUES_FOLLOWED = 64

# What shapes are told in.
_INTEGERS = frozenset({types_pb2.DT_INT32, types_pb2.DT_INT64})

_LINEAR_NAMES = """
    Abs All Any ArgMax ArgMin Bitcast Cast Ceil Concat ConcatV2 Cumprod Cumsum EnsureShape
    ExpandDims Floor Identity InvertPermutation LogicalNot Max Mean Min Neg Pack Prod Rank
    Reshape Reverse ReverseV2 Round Shape ShapeN Sign Size Slice Split SplitV Square Squeeze
    StopGradient StridedSlice Sum Transpose Unpack ZerosLike OnesLike
"""
# No more elements come out than go in, all inputs together.
_LINEAR = frozenset(_LINEAR_NAMES.split())
_BROADCASTING_NAMES = """
    Add AddV2 BatchMatMul BatchMatMulV2 BroadcastArgs Div Equal FloorDiv FloorMod Gather
    GatherNd GatherV2 Greater GreaterEqual Less LessEqual LogicalAnd LogicalOr MatMul Maximum
    Minimum Mod Mul NotEqual Pow RealDiv Select SelectV2 Sub TruncateDiv TruncateMod
"""
# As many elements come out as the inputs' numbers give multiplied, or fewer.
_BROADCASTING = frozenset(_BROADCASTING_NAMES.split())
# How many elements come out stands in the value of this input.
_SIZED = {"Fill": 0, "BroadcastTo": 1, "LinSpace": 2, "OneHot": 1, "Tile": 1}
_ASKS_ANY_TYPE = frozenset({"LinSpace", "Range"})

_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "Add": lambda a, b: a + b,
    "AddV2": lambda a, b: a + b,
    "Sub": lambda a, b: a - b,
    "Mul": lambda a, b: a * b,
    "Maximum": max,
    "Minimum": min,
}


def is_opaque(tensor: Any) -> bool:
    """Whether a tensor could hide a graph, a data set or a handle. Lists of numbers do not."""
    waiting = [tensor]
    while waiting:
        each = waiting.pop()
        variants = list(each.variant_val)
        if each.dtype not in OPAQUE_TYPES and not variants and not each.resource_handle_val:
            continue
        if not variants or each.resource_handle_val:
            return True
        if any(variant.type_name != "tensorflow::TensorList" for variant in variants):
            return True
        waiting.extend(part for variant in variants for part in variant.tensors)
    return False


class ConstantBudget:
    """Adds up what a module's constants take beyond what the file holds for them."""

    def __init__(self) -> None:
        self._left = MAX_CONSTANTS_BYTES

    def refuse(self, tensor: Any) -> str | None:
        """What speaks against the size of a constant."""
        sizes = [dim.size for dim in tensor.tensor_shape.dim]
        if tensor.tensor_shape.unknown_rank or any(size < 0 for size in sizes):
            return "holds a constant of unknown size"
        taken = bytes_taken(tensor) - _bytes_given(tensor)
        self._left -= max(taken, 0)
        if taken > MAX_CONSTANT_BYTES or self._left < 0:
            return (
                f"holds a constant of shape {sizes} that becomes far larger than the file that it "
                "comes from"
            )
        return None


def bytes_taken(tensor: Any) -> int:
    """Bytes of a constant in memory, as its shape says."""
    return math.prod(dim.size for dim in tensor.tensor_shape.dim) * _element_bytes(tensor.dtype)


@functools.cache
def _element_bytes(dtype: int) -> int:
    try:
        return tf.dtypes.as_dtype(dtype).size or _TEXT_BYTES
    except TypeError:
        return _TEXT_BYTES


def _bytes_given(tensor: Any) -> int:
    if tensor.tensor_content:
        return len(tensor.tensor_content)
    given = sum(len(values) for field, values in tensor.ListFields() if field.name.endswith("_val"))
    return _element_bytes(tensor.dtype) * given


def computed_too_large(graph: ModuleGraph, scope: str) -> Iterator[tuple[Any, str]]:
    """Nodes of a scope that are computed from constants alone, and may become too large for it.

    Args:
        graph: The module's graph.
        scope: A function's name, or empty for the main graph.

    Yields:
        The node, and why it is refused.
    """
    nodes = graph.nodes_of(scope)
    found = _ConstantParts(graph, nodes)
    told = set()
    for node in nodes.values():
        for name in _source_names(node):
            source = nodes.get(name)
            if source is None or name in told or found.work.get(name, 0) <= MAX_COMPUTED_ELEMENTS:
                continue
            if node.op in _ASKS_ANY_TYPE or output_types(source) & _INTEGERS:
                told.add(name)
                yield source, "makes a large tensor out of constants while the graph is read"


class _ConstantParts:
    """What of a graph is computed from constants alone, and how many elements it takes."""

    def __init__(self, graph: ModuleGraph, nodes: dict[str, Any]) -> None:
        self._functions = graph.functions
        self._nodes = nodes
        self.work: dict[str, int] = {}
        self._size: dict[str, int] = {}
        self._value: dict[str, list[int] | None] = {}
        for name in _in_order(nodes):
            self._visit(name, nodes[name])

    def _visit(self, name: str, node: Any) -> None:
        inputs = _source_names(node)
        if node.op == "Const" and "Const" not in self._functions:
            tensor = node.attr["value"].tensor
            self._size[name] = math.prod(max(dim.size, 0) for dim in tensor.tensor_shape.dim)
            self._value[name] = _integers(tensor)
            # The file pays for it, or `ConstantBudget` has refused it.
            self.work[name] = 0
            return
        if not inputs or any(each not in self._size for each in inputs):
            return
        if node.op in self._functions or not is_pure(node.op):
            return
        if node.op in _LINEAR:
            size = sum(self._size[each] for each in inputs)
        elif node.op in _BROADCASTING:
            size = math.prod(max(self._size[each], 1) for each in inputs)
        else:
            size = self._sized(node, inputs)
        self._size[name] = min(size, _INFINITY)
        self.work[name] = max(self._size[name], *(self.work[each] for each in inputs))
        self._value[name] = self._computed(node, inputs)

    def _sized(self, node: Any, inputs: list[str]) -> int:
        values = [self._value[each] for each in inputs]
        if node.op == "Range" and len(inputs) == 3:
            start, limit, step = values
            if start and limit and step and step[0]:
                return max(0, -(-(limit[0] - start[0]) // step[0]))
            return _INFINITY
        if node.op not in _SIZED or _SIZED[node.op] >= len(inputs):
            return _INFINITY
        factors = values[_SIZED[node.op]]
        if factors is None:
            return _INFINITY
        size = math.prod(max(factor, 0) for factor in factors)
        return size * self._size[inputs[0]] if node.op in ("Tile", "OneHot") else size

    def _computed(self, node: Any, inputs: list[str]) -> list[int] | None:
        """The values of small tensors of whole numbers, as shapes are computed."""
        if node.op == "Shape":
            return self._shape_of(inputs[0])
        values = [self._value[each] for each in inputs]
        if any(value is None for value in values):
            return None
        known = [value for value in values if value is not None]
        result: list[int] | None = None
        if node.op in ("Identity", "Cast", "Reshape", "ExpandDims", "Squeeze", "EnsureShape"):
            result = known[0]
        elif node.op == "Pack":
            result = [each for value in known for each in value]
        elif node.op == "ConcatV2":
            result = [each for value in known[:-1] for each in value]
        elif node.op == "Prod":
            result = [math.prod(known[0])]
        elif node.op in _ARITHMETIC and len(known) == 2:
            first, second = known
            count = max(len(first), len(second))
            if {len(first), len(second)} <= {1, count}:
                first, second = first * (count // len(first)), second * (count // len(second))
                result = [_ARITHMETIC[node.op](a, b) for a, b in zip(first, second, strict=True)]
        if result is None or len(result) > _VALUES_FOLLOWED:
            return None
        return [max(-_INFINITY, min(each, _INFINITY)) for each in result]

    def _shape_of(self, name: str) -> list[int] | None:
        node = self._nodes[name]
        if node.op != "Const":
            return None
        return [dim.size for dim in node.attr["value"].tensor.tensor_shape.dim]


def _integers(tensor: Any) -> list[int] | None:
    """The values of a small constant of whole numbers; of larger ones nothing is followed."""
    count = math.prod(max(dim.size, 0) for dim in tensor.tensor_shape.dim)
    if tensor.dtype not in (types_pb2.DT_INT32, types_pb2.DT_INT64) or count > _VALUES_FOLLOWED:
        return None
    if tensor.tensor_content:
        dtype = "<i4" if tensor.dtype == types_pb2.DT_INT32 else "<i8"
        if len(tensor.tensor_content) != count * np.dtype(dtype).itemsize:
            return None
        return np.frombuffer(tensor.tensor_content, dtype).tolist()
    given = list(tensor.int_val if tensor.dtype == types_pb2.DT_INT32 else tensor.int64_val)
    if not given:
        return [0] * count
    return (given + given[-1:] * (count - len(given)))[:count]


def _source_names(node: Any) -> list[str]:
    return [name.partition(":")[0] for name in data_inputs(node)]


def _in_order(nodes: dict[str, Any]) -> Iterable[str]:
    """Names of nodes, each after those that feed it; what lies on a circle is left out."""
    waiting = {name: set(_source_names(node)) & nodes.keys() for name, node in nodes.items()}
    consumers: dict[str, list[str]] = {}
    for name, sources in waiting.items():
        for source in sources:
            consumers.setdefault(source, []).append(name)
    ready = [name for name, sources in waiting.items() if not sources]
    for name in ready:
        for consumer in consumers.get(name, ()):
            waiting[consumer].discard(name)
            if not waiting[consumer]:
                ready.append(consumer)
    return ready
