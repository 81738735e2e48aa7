"""A SavedModel's graph as read from its protocol buffer: who calls whom, and what feeds what.

Nothing here asks TensorFlow to load the module: `audit` decides on what this file finds.
"""

import dataclasses
import functools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf import message
from tensorflow.core.framework import variable_pb2
from tensorflow.core.protobuf import meta_graph_pb2

#: Ops that hand their inputs, one for one, to the function named in their attribute `f`.
_PLAIN_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
#: Ops that choose a function by their first input and hand it the others.
_BRANCHES = frozenset({"If", "StatelessIf", "Case", "StatelessCase"})
_PASS_THROUGH = frozenset({"Identity", "Snapshot", "StopGradient", "GuaranteeConst"})

INIT_SIGNATURE = "__saved_model_init_op"
ASSET = "an asset"
SAVER_PATH = "the path of the module's own variables"


@dataclasses.dataclass(frozen=True)
class Reference:
    """One place that names a function: a node, or something outside the graph.

    Attributes:
        scope: The function that holds the node; empty for the main graph and outside it.
        node: The node, or None where no node calls (a gradient, an attribute of a function).
        offset: How many of the node's inputs come before the function's arguments, or None
            where the arguments are not simply the node's inputs.
    """

    scope: str
    node: Any
    offset: int | None


class ModuleGraph:
    """One meta graph of a SavedModel, its nodes and functions by name.

    Args:
        meta_graph: The `MetaGraphDef`.
        loaded_as_objects: Whether TensorFlow restores it from its object graph (TF2). A TF1
            module is imported as a graph instead, and asset paths reach its initializer only.

    Raises:
        ValueError: If two functions or two nodes have one name.
    """

    def __init__(self, meta_graph: Any, loaded_as_objects: bool) -> None:
        self.meta_graph = meta_graph
        self.nodes = _by_name(meta_graph.graph_def.node, lambda node: node.name)
        self.functions = _by_name(
            meta_graph.graph_def.library.function, lambda function: function.signature.name
        )
        self._function_nodes = {
            name: {node.name: node for node in function.node_def}
            for name, function in self.functions.items()
        }
        self._arguments = {
            name: [argument.name for argument in function.signature.input_arg]
            for name, function in self.functions.items()
        }
        self.references: dict[str, list[Reference]] = defaultdict(list)
        self._collect_references()
        self._entry_points: dict[str, list[str]] = {}
        self.exposed = self._exposed_functions()
        self.asset_files = self._asset_files()
        self._asset_tensors = {_tensor(asset.tensor_info.name) for asset in self.asset_files}
        if not loaded_as_objects:
            self._asset_tensors = {
                tensor for tensor in self._asset_tensors if tensor[0] not in self.signature_nodes
            }

    def sites(self) -> Iterator[tuple[str, Any]]:
        """Every node of the main graph (scope "") and of every function (scope its name)."""
        for node in self.meta_graph.graph_def.node:
            yield "", node
        for function in self.meta_graph.graph_def.library.function:
            for node in function.node_def:
                yield function.signature.name, node

    def origins(self, scope: str, tensor: str) -> set[str]:
        """Where a tensor's value comes from, followed back through every caller.

        Args:
            scope: The function it is used in, empty for the main graph.
            tensor: The input as the node names it.

        Returns:
            `ASSET`, `SAVER_PATH`, or descriptions of anything else; never empty.
        """
        return self._origins(scope, tensor, set()) or {"a function that nothing calls"}

    def ancestors(self, tensors: Iterable[str], stop: frozenset[str] = frozenset()) -> set[str]:
        """Names of the main graph's nodes that these tensors need, themselves included."""
        found: set[str] = set()
        waiting = [_tensor(name)[0] for name in tensors]
        while waiting:
            name = waiting.pop()
            if name in found or name in stop or name not in self.nodes:
                continue
            found.add(name)
            waiting.extend(_tensor(source)[0] for source in self.nodes[name].input)
        return found

    def callers(self, functions: Iterable[str]) -> set[str]:
        """Names of the functions that reach these functions, themselves included."""
        found: set[str] = set()
        waiting = list(functions)
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            found.add(name)
            waiting.extend(ref.scope for ref in self.references.get(name, ()) if ref.scope)
        return found

    @functools.cached_property
    def signature_nodes(self) -> set[str]:
        """Nodes of the main graph that a signature runs; the initializer's are not among them."""
        return self.ancestors(
            name
            for key, signature in self.meta_graph.signature_def.items()
            if key != INIT_SIGNATURE
            for info in [*signature.inputs.values(), *signature.outputs.values()]
            for name in _tensor_names(info)
        )

    @functools.cached_property
    def initializer_nodes(self) -> set[str]:
        """Nodes of the main graph that loading it as a TF1 graph runs, or a collection names."""
        names: list[str] = []
        if INIT_SIGNATURE in self.meta_graph.signature_def:
            for info in self.meta_graph.signature_def[INIT_SIGNATURE].outputs.values():
                names.extend(_tensor_names(info))
        for key, collection in self.meta_graph.collection_def.items():
            # The saver is judged by its own definition, which is the one that TensorFlow uses.
            if key == "savers":
                continue
            names.extend(collection.node_list.value)
            for serialized in collection.bytes_list.value:
                names.extend(_variable_tensors(serialized))
        return self.ancestors(names)

    def entry_points(self, function: str) -> list[str]:
        """How a function can be reached, in words, what happens at loading first."""
        if function not in self._entry_points:
            self._entry_points[function] = self._find_entry_points(function)
        return self._entry_points[function]

    def _find_entry_points(self, function: str) -> list[str]:
        reached = self.callers([function])
        names = {label for name in reached for label in self.exposed.get(name, ())}
        calls = {
            ref.node.name
            for name in reached
            for ref in self.references.get(name, ())
            if not ref.scope and ref.node is not None
        }
        if calls & self.initializer_nodes:
            names.add("the initializer of the graph")
        if calls & self.signature_nodes:
            names.add("a signature")
        return sorted(names, key=lambda name: (not runs_at_load(name), name))

    def _origins(self, scope: str, tensor: str, seen: set[tuple[str, str]]) -> set[str]:
        if (scope, tensor) in seen:
            return set()
        seen.add((scope, tensor))
        name, port = _tensor(tensor)
        if not scope:
            saver_path = self.meta_graph.saver_def.filename_tensor_name
            if saver_path and (name, port) == _tensor(saver_path):
                return {SAVER_PATH}
            if (name, port) in self._asset_tensors:
                return {ASSET}
        elif tensor in self._arguments[scope]:
            return self._argument_origins(scope, self._arguments[scope].index(tensor), seen)
        node = (self._function_nodes[scope] if scope else self.nodes).get(name)
        if node is None:
            return {f"the missing node '{name}'"}
        if node.op in _PASS_THROUGH and node.op not in self.functions and node.input:
            return self._origins(scope, node.input[0], seen)
        if not scope and node.op == "ReadVariableOp":
            return self._variable_origins(_tensor(node.input[0])[0], seen)
        return {f"the {node.op} '{name}'"}

    def _argument_origins(self, function: str, index: int, seen: set) -> set[str]:
        found: set[str] = set()
        for ref in self.references.get(function, ()):
            inputs = [] if ref.node is None else [i for i in ref.node.input if i[:1] != "^"]
            if ref.offset is None or index + ref.offset >= len(inputs):
                found.add("an indirect call")
            else:
                found |= self._origins(ref.scope, inputs[index + ref.offset], seen)
        if function in self.exposed:
            found.add(self._captured_origin(function, index))
        return found

    def _variable_origins(self, handle: str, seen: set) -> set[str]:
        """Everything ever assigned to a variable of the main graph (assets' paths live in such)."""
        others = {f"a variable that other ops may write ('{handle}')"}
        if handle not in self.nodes or self.nodes[handle].op != "VarHandleOp":
            return others
        shared = _shared_name(self.nodes[handle])
        handles = set()
        for scope, node in self.sites():
            if node.op == "VarHandleOp" and _shared_name(node) == shared:
                if scope:
                    return others
                handles.add(node.name)
        found: set[str] = set()
        for node in self.meta_graph.graph_def.node:
            uses = {_tensor(name)[0] for name in node.input if not name.startswith("^")} & handles
            if not uses or node.op in ("ReadVariableOp", "VarIsInitializedOp"):
                continue
            if node.op != "AssignVariableOp" or _tensor(node.input[1])[0] in handles:
                return others
            found |= self._origins("", node.input[1], seen)
        return found or others

    def _captured_origin(self, function: str, index: int) -> str:
        """What an object of the module binds to an argument when its function is called."""
        objects = self.meta_graph.object_graph_def
        if function not in objects.concrete_functions:
            return "an argument of the caller"
        bound = objects.concrete_functions[function].bound_inputs
        position = index - (len(self._arguments[function]) - len(bound))
        if position < 0:
            return "an argument of the caller"
        if not 0 <= bound[position] < len(objects.nodes):
            return "a missing object"
        captured = objects.nodes[bound[position]]
        kind = captured.WhichOneof("kind")
        if kind != "asset":
            return f"a captured {kind}"
        if not 0 <= captured.asset.asset_file_def_index < len(self.meta_graph.asset_file_def):
            return "a missing asset"
        return ASSET

    def _collect_references(self) -> None:
        for scope, node in self.sites():
            if node.op in self.functions:
                self.references[node.op].append(Reference(scope, node, 0))
            for key, value in node.attr.items():
                offset = None
                if node.op in _PLAIN_CALLS and key == "f":
                    offset = 0
                elif node.op in _BRANCHES and node.op not in self.functions:
                    offset = 1
                for name in self._named_functions(value):
                    self.references[name].append(Reference(scope, node, offset))
        library = self.meta_graph.graph_def.library
        for function in library.function:
            for value in function_attributes(function):
                for name in self._named_functions(value):
                    self.references[name].append(Reference(function.signature.name, None, None))
        for gradient in library.gradient:
            reference = Reference(gradient.function_name, None, None)
            self.references[gradient.gradient_func].append(reference)
        for gradient in library.registered_gradients:
            self.references[gradient.gradient_func].append(Reference("", None, None))

    def _named_functions(self, value: Any) -> Iterator[str]:
        """Functions that an attribute names: as a function, in a list, nested, or as text."""
        kind = value.WhichOneof("value")
        if kind == "func":
            functions, texts = [value.func], []
        elif kind == "s":
            functions, texts = [], [value.s]
        elif kind == "list":
            functions, texts = list(value.list.func), list(value.list.s)
        else:
            return
        for function in functions:
            if function.name in self.functions:
                yield function.name
            for nested in function.attr.values():
                yield from self._named_functions(nested)
        for text in texts:
            name = text.decode("utf-8", "replace")
            if name in self.functions:
                yield name

    def _exposed_functions(self) -> dict[str, list[str]]:
        """Functions that the module's objects hold, and under which names."""
        objects = self.meta_graph.object_graph_def
        exposed: dict[str, list[str]] = defaultdict(list)
        for index, path in _object_paths(objects).items():
            saved = objects.nodes[index]
            names = list(saved.function.concrete_functions)
            names += filter(None, [saved.bare_concrete_function.concrete_function_name])
            for name in names:
                exposed[name].append(path)
        for name in [
            *objects.concrete_functions,
            *self.meta_graph.meta_info_def.function_aliases,
        ]:
            if not exposed[name]:
                exposed[name].append("an object of the module")
        return dict(exposed)

    def _asset_files(self) -> list[Any]:
        if self.meta_graph.asset_file_def:
            return list(self.meta_graph.asset_file_def)
        collections = self.meta_graph.collection_def
        if "saved_model_assets" not in collections:
            return []
        assets = []
        for packed in collections["saved_model_assets"].any_list.value:
            asset = meta_graph_pb2.AssetFileDef()
            packed.Unpack(asset)
            assets.append(asset)
        return assets


def runs_at_load(entry_point: str) -> bool:
    """Whether TensorFlow runs what is reached from here while it loads the module."""
    return entry_point.endswith(("_initialize", "_create_resource", "initializer of the graph"))


def function_attributes(function: Any) -> list[Any]:
    """The attributes of a function and of its arguments."""
    of_arguments = [value for each in function.arg_attr.values() for value in each.attr.values()]
    return [*function.attr.values(), *of_arguments]


def _by_name(items: Iterable[Any], name_of: Any) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for item in items:
        name = name_of(item)
        if name in named:
            raise ValueError(f"two parts of the graph have the name '{name}'")
        named[name] = item
    return named


def _shared_name(node: Any) -> bytes:
    return node.attr["shared_name"].s or node.name.encode()


def _tensor(name: str) -> tuple[str, str]:
    """Splits an input's name into its node and its port ("^node" and "node:out:0" included)."""
    node, _, port = name.removeprefix("^").partition(":")
    return node, port or "0"


def _tensor_names(info: Any) -> list[str]:
    sparse = info.coo_sparse
    parts = [sparse.values_tensor_name, sparse.indices_tensor_name, sparse.dense_shape_tensor_name]
    parts += [name for part in info.composite_tensor.components for name in _tensor_names(part)]
    return [name for name in [info.name, *parts] if name]


def _variable_tensors(serialized: bytes) -> list[str]:
    """Tensors that a collection's variable names; other entries name none that loading runs."""
    variable = variable_pb2.VariableDef()
    try:
        variable.ParseFromString(serialized)
    except message.DecodeError:
        return []
    return [
        name
        for name in (
            variable.variable_name,
            variable.initializer_name,
            variable.snapshot_name,
            variable.initial_value_name,
        )
        if name
    ]


def _object_paths(objects: Any) -> dict[int, str]:
    """The shortest path from the root to every object, as a user would write it."""
    paths = {0: ""} if objects.nodes else {}
    waiting = list(paths)
    for index in waiting:
        saved = objects.nodes[index]
        children = [(child.local_name, child.node_id) for child in saved.children]
        for name, saveable in saved.saveable_objects.items():
            children.append((f"save function of {name}", saveable.save_function))
            children.append((f"restore function of {name}", saveable.restore_function))
        for name, child in children:
            if child not in paths and 0 <= child < len(objects.nodes):
                paths[child] = f"{paths[index]}.{name}".lstrip(".")
                waiting.append(child)
    return paths
