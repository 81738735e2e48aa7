"""One function of a SavedModel as a flat graph, in which layers are found by their names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tensorflow.core.framework import (
    function_pb2,
    node_def_pb2,
    tensor_shape_pb2,
    types_pb2,
)

# Ops that hand their inputs, one for one, to the function named in their attribute `f`.
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_CALL_NAME = re.compile(r"(?:Stateful)?PartitionedCall(?:_\d+)?")
# Their outputs are parameters and constants, not features.
_SOURCES = ("ReadVariableOp", "Const", "VarHandleOp", "Placeholder")
_NAMES_SHOWN = 8


class FlatFunction:
    """A function with every function that it calls put in its place.

    A SavedModel keeps each layer as a function of its own, so that what happens inside shows only
    its result. Here all calls are inlined: every intermediate tensor is then a tensor of one graph.

    Tensors are known by the names of layers, as `layers` lists them: the path of scopes without
    the calls on it. A layer is a called function, or a scope of which one tensor leaves.

    Attributes:
        layers: Tensor of each layer, and of each single op, by name, from input to output.
        returns: The tensors that the function returns.
    """

    def __init__(self, name: str, functions: Mapping[str, Any]) -> None:
        self._functions = functions
        self._definition = functions[name]
        self._nodes: dict[str, Any] = {}
        self._aliases: dict[str, str] = {}
        self._control_aliases: dict[str, list[str]] = {}
        self._types: dict[str, int] = {}
        self._shapes: dict[str, tuple[int | None, ...]] = {}
        self._called: dict[str, str] = {}
        arguments = {each.name: each.name for each in self._definition.signature.input_arg}
        returned, _ = self._inline(self._definition, "", arguments, [])
        self._resolve()
        self.returns = [self._resolved(tensor) for tensor in returned]
        self.layers = self._layers()

    @property
    def argument_names(self) -> list[str]:
        """Names of the function's arguments, the variables that it reads last."""
        return [each.name for each in self._definition.signature.input_arg]

    # Inlining

    def _inline(
        self, function: Any, prefix: str, arguments: Mapping[str, str], controls: Sequence[str]
    ) -> tuple[list[str], list[str]]:
        """Take up a function's nodes; return its returned tensors and its control nodes."""

        def outside(reference: str) -> str:
            if reference.startswith("^"):
                return f"^{prefix}{reference[1:]}"
            return arguments.get(reference.partition(":")[0]) or prefix + reference

        for node in function.node_def:
            inputs = [*map(outside, node.input), *controls]
            callee = self._callee(node)
            if callee is None:
                self._take_up(node, prefix + node.name, inputs)
            else:
                self._inline_call(node, prefix + node.name, callee, inputs)
        returned = [outside(function.ret[each.name]) for each in function.signature.output_arg]
        return returned, [prefix + name for name in function.control_ret.values()]

    def _callee(self, node: Any) -> Any:
        if node.op in _CALLS:
            return self._functions[node.attr["f"].func.name]
        return self._functions.get(node.op)

    def _take_up(self, node: Any, name: str, inputs: list[str]) -> None:
        copy = type(node)()
        copy.CopyFrom(node)
        copy.name = name
        self._note_shape(name, node)
        del copy.input[:]
        copy.input.extend(inputs)
        # Names of before the inlining.
        copy.attr.pop("_class", None)
        copy.ClearField("experimental_debug_info")
        self._nodes[name] = copy

    def _note_shape(self, name: str, node: Any) -> None:
        shapes: Any = ()
        if "_output_shapes" in node.attr:
            shapes = node.attr["_output_shapes"].list.shape
        if len(shapes) and not shapes[0].unknown_rank:
            sizes = tuple(None if dim.size < 0 else dim.size for dim in shapes[0].dim)
            self._shapes[name] = sizes

    def _inline_call(self, node: Any, path: str, callee: Any, inputs: list[str]) -> None:
        given = [each for each in inputs if not each.startswith("^")]
        controls = list(dict.fromkeys(each for each in inputs if each.startswith("^")))
        if len(controls) > 1:
            # One op that waits for all of them, or each op inside would list them, at every level.
            self._wait_for(f"{path}/before_call", controls)
            controls = [f"^{path}/before_call"]
        names = [each.name for each in callee.signature.input_arg]
        arguments = dict(zip(names, given, strict=True))
        returned, control = self._inline(callee, f"{path}/", arguments, controls)
        self._control_aliases[path] = control
        outputs = callee.signature.output_arg
        for place, (output, tensor) in enumerate(zip(outputs, returned, strict=True)):
            key = f"{path}:output:{place}" if node.op in _CALLS else f"{path}:{output.name}:0"
            self._aliases[key] = tensor
            self._types[key] = output.type
        if outputs:
            first = f"{path}:output:0" if node.op in _CALLS else f"{path}:{outputs[0].name}:0"
            self._called[path] = first

    def _resolved(self, reference: str) -> str:
        while reference in self._aliases:
            reference = self._aliases[reference]
        return reference

    def _wait_for(self, name: str, controls: Sequence[str]) -> Any:
        node = node_def_pb2.NodeDef(name=name, op="NoOp", input=controls)
        self._nodes[name] = node
        return node

    def _resolve(self) -> None:
        waiting = list(self._nodes.values())
        for node in waiting:
            data = [self._resolved(each) for each in node.input if not each.startswith("^")]
            control = dict.fromkeys(each for each in node.input if each.startswith("^"))
            for name in (each[1:] for each in control):
                # A call is over when its function's control nodes have run.
                if name in self._control_aliases and name not in self._nodes:
                    ends = dict.fromkeys(f"^{each}" for each in self._control_aliases[name])
                    waiting.append(self._wait_for(name, list(ends)))
            del node.input[:]
            node.input.extend([*data, *control])

    # Names

    def _layers(self) -> dict[str, str]:
        named: dict[str, str] = {}
        for path, tensor in self._called.items():
            _add(named, _display(path), self._resolved(tensor))
        for tensor in self._used():
            producer = tensor.partition(":")[0]
            if producer in self._nodes and self._nodes[producer].op not in _SOURCES:
                named.setdefault(_display(producer), tensor)
        for scope, tensors in self._exits().items():
            if len(tensors) == 1:
                named.setdefault(scope, tensors[0])
        order = {name: place for place, name in enumerate(self._nodes)}
        sources = {name for name, node in self._nodes.items() if node.op in _SOURCES}
        features = [
            (order[producer], name, tensor)
            for name, tensor in named.items()
            if name and (producer := tensor.partition(":")[0]) in order and producer not in sources
        ]
        return {name: tensor for _, name, tensor in sorted(features)}

    def _used(self) -> list[str]:
        used = [each for node in self._nodes.values() for each in node.input]
        return [each for each in dict.fromkeys([*used, *self.returns]) if ":" in each]

    def _exits(self) -> dict[str, list[str]]:
        """For each scope, the tensors made in it and used outside."""
        exits: dict[str, dict[str, None]] = {}
        users = [(_display(name), node.input) for name, node in self._nodes.items()]
        for user, inputs in [*users, ("", self.returns)]:
            for tensor in inputs:
                producer = tensor.partition(":")[0]
                if tensor.startswith("^") or producer not in self._nodes:
                    continue
                for scope in _scopes(_display(producer)):
                    if not user.startswith(f"{scope}/"):
                        exits.setdefault(scope, {})[tensor] = None
        return {scope: list(tensors) for scope, tensors in exits.items()}

    def layer_names(self) -> list[str]:
        """Names of the layers, without the ops inside them."""
        # What only waits for a call is no op of the module's.
        ops = {_display(name) for name, node in self._nodes.items() if node.op != "NoOp"}
        return [
            name
            for name in self.layers
            if name not in ops or not any(scope in self.layers for scope in _scopes(name))
        ]

    def layer_shapes(self) -> dict[str, tuple[int | None, ...]]:
        """Shapes of the layers' outputs where the module says them, as it was saved."""
        producers = {name: self.layers[name].partition(":")[0] for name in self.layer_names()}
        return {name: self._shapes[op] for name, op in producers.items() if op in self._shapes}

    def input_shape(self) -> tuple[int | None, ...] | None:
        """Shape of the first argument as the module was saved, where it says one."""
        shapes = self._input_shapes({})
        if not shapes or shapes[0].unknown_rank:
            return None
        return tuple(None if dim.size < 0 else dim.size for dim in shapes[0].dim)

    def find(self, layer: str) -> str:
        """The tensor of a layer.

        Args:
            layer: Its name as `layers` has it, or the end of it from a slash on.
        """
        if layer in self.layers:
            return self.layers[layer]
        found = [name for name in self.layers if name.endswith(f"/{layer}")]
        if len({self.layers[name] for name in found}) == 1:
            return self.layers[found[0]]
        if found:
            raise ValueError(
                f"{len(found)} layers of the module are called so. Give more of the name. "
                f"Received: {layer!r}, which is {_some(found)}"
            )
        ends = {name.rpartition("/")[2]: name for name in self.layers}
        near = difflib.get_close_matches(layer, {**ends, **self.layers}, _NAMES_SHOWN, 0.5)
        advice = f"Did you mean one of {near}?" if near else f"There are {_some([*self.layers])}."
        raise ValueError(f"The module has no layer of this name. {advice} Received: {layer!r}")

    # What is left when only some tensors are wanted

    def cut(
        self, tensors: Sequence[str], name: str, sizes: Mapping[int, Sequence[int | None]]
    ) -> tuple[Any, list[int]]:
        """The function that computes these tensors, and nothing that they do not need.

        Returns:
            The function as a protocol buffer, and the places of the arguments it still takes.
            Arguments that are no resources stay, used or not.
        """
        needed = self._ancestors(tensors)
        cut = function_pb2.FunctionDef()
        cut.signature.name = name
        cut.signature.is_stateful = self._definition.signature.is_stateful
        kept = [
            place
            for place, argument in enumerate(self._definition.signature.input_arg)
            if argument.name in needed or argument.type != types_pb2.DT_RESOURCE
        ]
        shapes = self._input_shapes(sizes)
        for new, old in enumerate(kept):
            cut.signature.input_arg.add().CopyFrom(self._definition.signature.input_arg[old])
            if old in self._definition.arg_attr:
                cut.arg_attr[new].CopyFrom(self._definition.arg_attr[old])
                cut.arg_attr[new].attr.pop("_output_shapes", None)
            if shapes:
                cut.attr["_input_shapes"].list.shape.add().CopyFrom(shapes[old])
        cut.node_def.extend(node for path, node in self._nodes.items() if path in needed)
        outdated = self._descendants([self.argument_names[place] for place in sizes])
        for node in cut.node_def:
            if node.name in outdated:
                # TensorFlow infers the others anew, from the variables' shapes, which stay.
                node.attr.pop("_output_shapes", None)
        for place, tensor in enumerate(tensors):
            cut.signature.output_arg.add(name=f"output_{place}", type=self.type_of(tensor))
            cut.ret[f"output_{place}"] = tensor
        return cut, kept

    def _ancestors(self, tensors: Iterable[str]) -> set[str]:
        """Names of the nodes and arguments that tensors need."""
        found: set[str] = set()
        waiting = list(tensors)
        while waiting:
            name = waiting.pop().lstrip("^").partition(":")[0]
            if name in found:
                continue
            found.add(name)
            if name in self._nodes:
                waiting.extend(self._nodes[name].input)
        return found

    def _descendants(self, arguments: Iterable[str]) -> set[str]:
        """Names of the nodes that depend on arguments, and the arguments."""
        users: dict[str, list[str]] = {}
        for name, node in self._nodes.items():
            for reference in node.input:
                users.setdefault(reference.partition(":")[0], []).append(name)
        found: set[str] = set()
        waiting = list(arguments)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting.extend(users.get(name, ()))
        return found

    def _input_shapes(self, sizes: Mapping[int, Sequence[int | None]]) -> list[Any]:
        shapes = list(self._definition.attr["_input_shapes"].list.shape)
        for place, size in sizes.items():
            if shapes:
                shapes[place] = shape_proto(size)
        return shapes

    def type_of(self, tensor: str) -> int:
        """The TensorFlow type of a tensor, as a number of `DataType`."""
        for key, kind in self._types.items():
            if self._resolved(key) == tensor:
                return kind
        node = self._nodes[tensor.partition(":")[0]]
        for attribute in ("DstT", "dtype", "T"):
            if attribute in node.attr:
                return node.attr[attribute].type
        return types_pb2.DT_FLOAT


def shape_proto(shape: Sequence[int | None]) -> Any:
    """A shape as a protocol buffer; `None` for a size that is not known."""
    proto = tensor_shape_pb2.TensorShapeProto()
    for size in shape:
        proto.dim.add(size=-1 if size is None else size)
    return proto


def _display(path: str) -> str:
    """A node's path without the calls on it."""
    return "/".join(part for part in path.split("/") if not _CALL_NAME.fullmatch(part))


def _scopes(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _add(named: dict[str, str], name: str, tensor: str) -> None:
    """Name a tensor; a layer that is called several times has numbered names."""
    free, count = name, 0
    while free in named:
        count += 1
        free = f"{name}_{count}"
    named[free] = tensor


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMES_SHOWN]) + (", ..." if len(names) > _NAMES_SHOWN else "")
