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
from keras_transgen.backbones.audit.calls import in_order
from keras_transgen.backbones.audit.module_graph import ModuleGraph, data_inputs
from keras_transgen.backbones.audit.registered_ops import is_pure, output_types

_Found = tuple[str, Any, str]

#: Bytes that one constant may take beyond those that the file holds for it, and all of them.
MAX_CONSTANT_BYTES = 64 * 2**20
MAX_CONSTANTS_BYTES = 512 * 2**20
#: Elements of what may be computed out of constants alone, where TensorFlow wants its value,
#: without being tried first.
MAX_COMPUTED_ELEMENTS = 2**14
#: The same for all that is computed in a module, as often as it is wanted.
MAX_COMPUTED_IN_ALL = 2**22
#: Ways through the ops that TensorFlow follows to know a part of a shape.
MAX_SHAPE_PATHS = 2**16
MAX_RANK = 254

_TEXT_BYTES = 32
_INFINITY = 2**62
_VALUES_FOLLOWED = 64
_USUAL_RANK = 8
_LARGEST_NUMBER = 2**31

_CONSTANTS = frozenset({"Const", "HostConst"})
# To TensorFlow constants, too, where it knows the shape; not more elements than dimensions.
_OF_SHAPES = frozenset({"Shape", "ShapeN", "Size", "Rank", "VariableShape"})

_LINEAR_NAMES = """
    Abs All Any ArgMax ArgMin Bitcast Cast Ceil Concat ConcatV2 Cumprod Cumsum EnsureShape
    ExpandDims Floor Identity InvertPermutation LogicalNot Max Mean Min Neg Pack Prod Reshape
    Reverse ReverseV2 Round Sign Slice Split SplitV Square Squeeze StopGradient StridedSlice Sum
    Transpose Unpack ZerosLike OnesLike
"""
# No more elements come out than go in.
_LINEAR = frozenset(_LINEAR_NAMES.split())
_BROADCASTING_NAMES = """
    Add AddV2 BatchMatMul BatchMatMulV2 BroadcastArgs Div Equal FloorDiv FloorMod Gather
    GatherNd GatherV2 Greater GreaterEqual Less LessEqual LogicalAnd LogicalOr MatMul Maximum
    Minimum Mod Mul NotEqual Pow RealDiv Select SelectV2 Sub TruncateDiv TruncateMod
"""
_BROADCASTING = frozenset(_BROADCASTING_NAMES.split())
_JOINING = frozenset({"Concat", "ConcatV2", "Pack"})
# How many elements come out stands in the value of this input.
_SIZED = {"Fill": 0, "BroadcastTo": 1, "LinSpace": 2, "OneHot": 1, "Tile": 1}

# What comes out stands in the values of inputs or in attributes, in a way that is not followed.
_GROWS_NAMES = """
    AvgPoolGrad BatchMatrixDiag BatchToSpace BatchToSpaceND Bincount Conv2DBackpropFilter
    Conv2DBackpropInput Conv3DBackpropInputV2 CropAndResize DecodeAndCropJpeg DecodeBmp
    DecodeCompressed DecodeGif DecodeImage DecodeJpeg DecodePng DecodeWav DecodeWebP DenseBincount
    DepthwiseConv2dNativeBackpropInput Diag Einsum EmptyTensorList ExtractImagePatches
    HistogramFixedWidth IRFFT IRFFT2D IRFFT3D ImageProjectiveTransformV2 ImageProjectiveTransformV3
    MatrixDiag MatrixDiagV2 MatrixDiagV3 MirrorPad Pad PadV2 ParseTensor RFFT RFFT2D RFFT3D
    RaggedRange RaggedTensorToTensor ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor
    ScaleAndTranslate ScatterNd SegmentSum SobolSample SpaceToBatch SpaceToBatchND SparseToDense
    TensorListFromTensor TensorListGetItem TensorListReserve TensorListResize TensorListStack
    UnsortedSegmentJoin UnsortedSegmentMax UnsortedSegmentMin UnsortedSegmentProd
    UnsortedSegmentSum
"""
_STATELESS_KEYS = frozenset({"StatelessRandomGetKeyCounter", "StatelessRandomGetAlg"})
_GROWS = frozenset(_GROWS_NAMES.split())
_GROWS_STARTS = (
    "Stateless",
    "Random",
    "Xla",
    "Decode",
    "Ragged",
    "Sparse",
    "Segment",
    "TensorArray",
)
# What sizes and axes are told in.
_INTEGERS = frozenset(
    getattr(types_pb2, f"DT_{sign}INT{bits}") for sign in ("", "U") for bits in (8, 16, 32, 64)
)
_ASKS_ANY_TYPE = frozenset({"LinSpace", "Range"})
# Which inputs' values TensorFlow wants, to know the shape of what an op gives: none of these ops,
_ASKS_NOTHING_NAMES = """
    Abs Assert AssignVariableOp BiasAdd Bitcast BroadcastGradientArgs Cast Ceil ClipByValue
    ConcatOffset CudnnRNN CudnnRNNBackprop CudnnRNNBackpropV2 CudnnRNNBackpropV3 CudnnRNNV2
    CudnnRNNV3 EnsureShape Exp Floor Gather GatherNd Identity IdentityN If InvertPermutation Log
    LogicalNot LookupTableFindV2 LookupTableImportV2 LookupTableInsertV2 Neg OnesLike Pack
    PartitionedCall ReadVariableOp Relu ResourceGather ResourceGatherNd ReverseSequence Round Rsqrt
    Sigmoid Sign Softmax SparseSoftmaxCrossEntropyWithLogits Sqrt Square SquaredDifference Squeeze
    StatefulPartitionedCall StatelessIf StatelessRandomGetKeyCounter StatelessWhile StopGradient
    Tanh TensorListLength TensorListSetItem Unpack Where While ZerosLike
"""
_ASKS_NOTHING = (_BROADCASTING - {"BroadcastArgs", "GatherV2"}) | _OF_SHAPES
_ASKS_NOTHING |= frozenset(_ASKS_NOTHING_NAMES.split())
# all but the first, which is data,
_ASKS_ALL_BUT_FIRST_NAMES = """
    All Any ArgMax ArgMin BroadcastTo Cumprod Cumsum ExpandDims Max Mean Min MirrorPad OneHot Pad
    PadV2 Prod Reshape ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor Reverse
    ReverseV2 Roll Slice SplitV StridedSlice Sum TensorListFromTensor TensorListStack Tile Transpose
"""
_ASKS_ALL_BUT_FIRST = frozenset(_ASKS_ALL_BUT_FIRST_NAMES.split())
# one, and of any other op all of them.
_ASKS_ONE = {
    "ConcatV2": -1,
    "Fill": 0,
    "GatherV2": 2,
    "ScatterNd": 2,
    "TensorListGetItem": 2,
    "TensorListReserve": 0,
    "UnsortedSegmentMax": 2,
    "UnsortedSegmentMin": 2,
    "UnsortedSegmentProd": 2,
    "UnsortedSegmentSum": 2,
}
# Through these TensorFlow follows parts of shapes, each input anew.
_FOLLOWED = frozenset({"Cast", "Concat", "ConcatV2", "Identity", "Pack", "Slice", "StridedSlice"})

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
        shape = tensor.tensor_shape
        if shape.unknown_rank or len(shape.dim) > MAX_RANK or any(d.size < 0 for d in shape.dim):
            return "holds a constant of unknown size"
        taken = growth(tensor)
        self._left -= taken
        if taken > MAX_CONSTANT_BYTES or self._left < 0:
            return (
                f"holds a constant of shape {[dim.size for dim in shape.dim]} that becomes far "
                "larger than the file that it comes from"
            )
        return None


def elements(shape: Any) -> int:
    """How many elements a shape has, and no more than can be counted in 62 bits."""
    count = 1
    for dim in shape.dim[:MAX_RANK]:
        count = min(count * max(dim.size, 0), _INFINITY)
    return count if len(shape.dim) <= MAX_RANK else _INFINITY


def bytes_taken(tensor: Any) -> int:
    """Bytes of a constant in memory, as its shape says."""
    return elements(tensor.tensor_shape) * _element_bytes(tensor.dtype)


def growth(tensor: Any) -> int:
    """Bytes of a constant in memory beyond those that the file holds for it."""
    return max(0, bytes_taken(tensor) - _bytes_given(tensor))


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


def computed_ahead(graph: ModuleGraph, scopes: Iterable[str]) -> Iterator[_Found]:
    """Nodes for which TensorFlow may compute much while it reads the graph.

    To know a shape, TensorFlow computes what a shape depends on, where it comes from constants and
    known shapes alone; anew for each op that asks.
    """
    left = MAX_COMPUTED_IN_ALL
    for scope in scopes:
        nodes = graph.nodes_of(scope)
        found = _ConstantParts(graph, nodes)
        for node in nodes.values():
            for name in _asked_inputs(node, found):
                source = nodes.get(name)
                if source is None or not found.is_followed(name):
                    continue
                if node.op not in _ASKS_ANY_TYPE and not output_types(source) & _INTEGERS:
                    continue
                taken = found.taken(name)
                is_large = taken > MAX_COMPUTED_ELEMENTS
                left -= 0 if is_large else taken
                if is_large or left < 0:
                    yield scope, node, "wants a large tensor of constants while the graph is read"
                    break
                if found.paths.get(name, 0) > MAX_SHAPE_PATHS:
                    yield scope, node, "has a shape that doubles on its way while the graph is read"
                    break


def _asked_inputs(node: Any, found: _ConstantParts) -> list[str]:
    """The inputs whose values TensorFlow may want, to know the shape of what a node gives."""
    inputs = _source_names(node)
    if node.op in _FOLLOWED and node.name not in found.work:
        # A part of a shape that is not known as a whole.
        return inputs
    if node.op in _ASKS_NOTHING:
        return []
    if node.op in _ASKS_ALL_BUT_FIRST:
        return inputs[1:]
    if node.op in _ASKS_ONE and inputs:
        place = _ASKS_ONE[node.op]
        return [inputs[place]] if place < len(inputs) else inputs
    if node.op.startswith("StatelessRandom"):
        return inputs[:1]
    return inputs


class _ConstantParts:
    """What of a graph is computed from constants alone, and how many elements it takes.

    Attributes:
        work: The most elements on the way to each node that is computed so.
        sums: All elements on the way, no less than TensorFlow computes.
        paths: How many ways lead through the ops that it follows for parts of shapes.
    """

    def __init__(self, graph: ModuleGraph, nodes: dict[str, Any]) -> None:
        self._functions = graph.functions
        self._nodes = nodes
        self.work: dict[str, int] = {}
        self.sums: dict[str, int] = {}
        self.paths: dict[str, int] = {}
        self._size: dict[str, int] = {}
        self._value: dict[str, list[int] | None] = {}
        total = 0
        for name in in_order({name: _source_names(node) for name, node in nodes.items()}):
            self._visit(name, nodes[name])
            total = min(total + self._size.get(name, 0), _INFINITY)
        for name in self.sums:
            self.sums[name] = min(self.sums[name], total)

    def is_followed(self, name: str) -> bool:
        """Whether a node is computed ahead, or followed for parts of shapes."""
        return name in self.work or name in self.paths

    def taken(self, name: str) -> int:
        """Elements that are computed, or gone through, where a node's value is wanted."""
        if name not in self.work:
            return 0
        # A constant itself is gone through, as long as it is.
        return max(self.work[name], self.sums[name], min(self._size[name], _INFINITY))

    def _visit(self, name: str, node: Any) -> None:
        inputs = _source_names(node)
        if node.op in _FOLLOWED:
            ways = sum(self.paths.get(each, 1) for each in inputs)
            self.paths[name] = min(max(ways, 1), _INFINITY)
        if node.op in self._functions or not is_pure(node.op):
            return
        if node.op in _CONSTANTS:
            tensor = node.attr["value"].tensor
            self._size[name] = elements(tensor.tensor_shape)
            self._value[name] = _integers(tensor)
            # The file pays for it, or `ConstantBudget` has refused it.
            self.work[name] = self.sums[name] = 0
            return
        if node.op in _OF_SHAPES:
            self._size[name], self.work[name], self.sums[name] = _USUAL_RANK, 0, _USUAL_RANK
            self._value[name] = self._shape_of(inputs) if node.op == "Shape" else None
            return
        if any(each not in self._size for each in inputs) or node.op.startswith("Placeholder"):
            return
        if node.op in _JOINING:
            size = sum(self._size[each] for each in inputs)
        elif node.op in _LINEAR:
            size = min(max(self._size[each] for each in inputs), self._cut(node, inputs))
        elif node.op in _SIZED or node.op in ("Range", "LinSpace"):
            size = self._sized(node, inputs)
        elif node.op in _GROWS or node.op.startswith(_GROWS_STARTS):
            size = 8 if node.op in _STATELESS_KEYS else _INFINITY
        else:
            # As many elements come out as the inputs' numbers give multiplied, or fewer.
            size = 1
            for each in inputs:
                size = min(size * max(self._size[each], 1), _INFINITY)
        self._size[name] = min(size, _INFINITY)
        self.work[name] = max(self._size[name], *(self.work[each] for each in inputs), 0)
        self.sums[name] = self._size[name] + sum(self.sums[each] for each in inputs)
        self.sums[name] = min(self.sums[name], _INFINITY)
        self._value[name] = self._computed(node, inputs)

    def _cut(self, node: Any, inputs: list[str]) -> int:
        """How many elements a slice leaves of a shape or another row of numbers."""
        if node.op != "StridedSlice" or len(inputs) < 3 or node.attr["ellipsis_mask"].i:
            return _INFINITY
        begin, end = self._value[inputs[1]], self._value[inputs[2]]
        if not begin or not end or len(begin) != 1 or len(end) != 1:
            return _INFINITY
        if node.attr["shrink_axis_mask"].i:
            return 1
        if node.attr["begin_mask"].i or node.attr["end_mask"].i or (begin[0] < 0) != (end[0] < 0):
            return _INFINITY
        return max(0, end[0] - begin[0])

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
        size = self._size[inputs[0]] if node.op in ("Tile", "OneHot") else 1
        for factor in factors:
            size = min(size * max(factor, 0), _INFINITY)
        return size

    def _computed(self, node: Any, inputs: list[str]) -> list[int] | None:
        """The values of small tensors of whole numbers, as shapes are computed."""
        values = [self._value[each] for each in inputs]
        # Only of an op's first output is the value known.
        ports = [name.rpartition(":")[2] for name in data_inputs(node) if ":" in name]
        if not values or any(value is None for value in values) or set(ports) - {"0"}:
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
            # Of two rows nobody knows here whether they lie along one axis.
            if 1 in (len(first), len(second)):
                first, second = first * (count // len(first)), second * (count // len(second))
                result = [_ARITHMETIC[node.op](a, b) for a, b in zip(first, second, strict=True)]
        if result is None or len(result) > _VALUES_FOLLOWED:
            return None
        # TensorFlow's numbers wrap around there.
        return None if any(abs(each) >= _LARGEST_NUMBER for each in result) else result

    def _shape_of(self, inputs: list[str]) -> list[int] | None:
        node = self._nodes.get(inputs[0]) if inputs else None
        if node is None or node.op not in _CONSTANTS:
            return None
        return [dim.size for dim in node.attr["value"].tensor.tensor_shape.dim]


def _integers(tensor: Any) -> list[int] | None:
    """The values of a small constant of whole numbers; of larger ones nothing is followed."""
    count = elements(tensor.tensor_shape)
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
