"""A SavedModel's graph as read from its protocol buffer: who calls whom, and what feeds what.

Nothing here asks TensorFlow to load the module: the audit decides on what this file finds. Every
walk is iterative and remembers what it has seen, so that its time grows with the module's size.
"""

from __future__ import annotations

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
#: What TensorFlow runs of a graph of TensorFlow 1 while it loads it, besides the init signature.
_RUN_COLLECTIONS = ("saved_model_main_op", "legacy_init_op", "table_initializer")
_RUN_VARIABLES = ("local_variables",)
_ORIGINS_TOLD = 8


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
    """

    def __init__(self, meta_graph: Any, loaded_as_objects: bool) -> None:
        self.meta_graph = meta_graph
        self.loaded_as_objects = loaded_as_objects
        self.nodes = _by_name(meta_graph.graph_def.node, lambda node: node.name)
        self.functions = _by_name(
            meta_graph.graph_def.library.function, lambda function: function.signature.name
        )
        self.function_nodes = {
            name: _by_name(function.node_def, lambda node: node.name)
            for name, function in self.functions.items()
        }
        self.arguments = {
            name: {
                argument.name: place for place, argument in enumerate(function.signature.input_arg)
            }
            for name, function in self.functions.items()
        }
        self.references: dict[str, list[Reference]] = defaultdict(list)
        #: Functions that the nodes of each scope call, as often as they do.
        self.callees: dict[str, list[str]] = defaultdict(list)
        self._collect_references()
        self.exposed = self._exposed_functions()
        self.asset_files = self._asset_files()
        self._asset_tensors = {_tensor(asset.tensor_info.name) for asset in self.asset_files}
        if not loaded_as_objects:
            # TensorFlow tells the assets' paths to the initializer alone: what restores the
            # variables, or a signature, would read whatever path stands in the graph.
            restore = self.ancestors([meta_graph.saver_def.restore_op_name])
            untold = self.signature_nodes | restore
            self._asset_tensors = {each for each in self._asset_tensors if each[0] not in untold}
        self._origins: dict[tuple[str, str], frozenset[str]] = {}

    def sites(self) -> Iterator[tuple[str, Any]]:
        """Every node of the main graph (scope "") and of every function (scope its name)."""
        for node in self.meta_graph.graph_def.node:
            yield "", node
        for function in self.meta_graph.graph_def.library.function:
            for node in function.node_def:
                yield function.signature.name, node

    def nodes_of(self, scope: str) -> dict[str, Any]:
        """The nodes of a scope by name."""
        return self.function_nodes[scope] if scope else self.nodes

    def origins(self, scope: str, tensor: str) -> frozenset[str]:
        """Where a tensor's value comes from, followed back through every caller.

        Args:
            scope: The function it is used in, empty for the main graph.
            tensor: The input as the node names it.
        """
        waiting = [(scope, tensor)]
        open_keys: set[tuple[str, str]] = set()
        while waiting:
            key = waiting[-1]
            if key in self._origins:
                waiting.pop()
                continue
            found, sources = self._sources(*key)
            missing = [source for source in sources if source not in self._origins]
            if missing and key not in open_keys:
                open_keys.add(key)
                waiting.extend(missing)
                continue
            # A tensor that feeds itself has no value that anybody could tell.
            if missing:
                found = found | {"ops that feed one another in a circle"}
            for source in sources:
                found = found | self._origins.get(source, frozenset())
            self._origins[key] = _some(found) or frozenset({"a function that nothing calls"})
            waiting.pop()
        return self._origins[scope, tensor]

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

    def callers(self, functions: Iterable[str], at_most: int | None = None) -> set[str]:
        """Names of the functions that reach these functions, themselves included."""
        found: set[str] = set()
        waiting = list(functions)
        while waiting and (at_most is None or len(found) < at_most):
            name = waiting.pop()
            if name in found:
                continue
            found.add(name)
            waiting.extend(ref.scope for ref in self.references.get(name, ()) if ref.scope)
        return found

    def called_from(self, functions: Iterable[str]) -> set[str]:
        """Names of the functions that these functions call, directly or not, and themselves."""
        found: set[str] = set()
        waiting = [name for name in functions if name in self.functions]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting.extend(self.callees.get(name, ()))
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
        names: list[str] = [*self._initializing_tensors()]
        for key, collection in self.meta_graph.collection_def.items():
            # The saver is judged by its own definition, which is the one that TensorFlow uses.
            if key == "savers":
                continue
            names.extend(collection.node_list.value)
            for serialized in collection.bytes_list.value:
                names.extend(_variable_tensors(serialized))
        return self.ancestors(names)

    @functools.cached_property
    def nodes_run_at_load(self) -> set[str]:
        """Nodes of the main graph that TensorFlow runs while it loads it: none of a TF2 module."""
        if self.loaded_as_objects:
            return set()
        saver = self.meta_graph.saver_def
        names = [*self._initializing_tensors()]
        for key in _RUN_COLLECTIONS:
            if key in self.meta_graph.collection_def:
                names.extend(self.meta_graph.collection_def[key].node_list.value)
        for key in _RUN_VARIABLES:
            if key in self.meta_graph.collection_def:
                for serialized in self.meta_graph.collection_def[key].bytes_list.value:
                    names.extend(_variable_tensors(serialized))
        stop = frozenset({_tensor(saver.filename_tensor_name)[0]})
        return self.ancestors(names) | self.ancestors([saver.restore_op_name], stop)

    def _initializing_tensors(self) -> Iterator[str]:
        if INIT_SIGNATURE in self.meta_graph.signature_def:
            for info in self.meta_graph.signature_def[INIT_SIGNATURE].outputs.values():
                yield from _tensor_names(info)

    def entry_points(self, function: str) -> list[str]:
        """How a function can be reached, in words, what happens at loading first."""
        reached = self.callers([function], at_most=1000)
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

    def _sources(self, scope: str, tensor: str) -> tuple[frozenset[str], list[tuple[str, str]]]:
        """What is known of a tensor's origin, and the tensors that it otherwise comes from."""
        name, port = _tensor(tensor)
        if not scope:
            saver_path = self.meta_graph.saver_def.filename_tensor_name
            if saver_path and (name, port) == _tensor(saver_path):
                return frozenset({SAVER_PATH}), []
            if (name, port) in self._asset_tensors:
                return frozenset({ASSET}), []
        elif tensor in self.arguments[scope]:
            return self._argument_sources(scope, self.arguments[scope][tensor])
        node = self.nodes_of(scope).get(name)
        if node is None:
            return frozenset({f"the missing node '{name}'"}), []
        if node.op in _PASS_THROUGH and node.op not in self.functions and node.input:
            return frozenset(), [(scope, node.input[0])]
        if not scope and node.op == "ReadVariableOp" and node.input:
            return self._variable_sources(_tensor(node.input[0])[0])
        return frozenset({f"the {node.op} '{name}'"}), []

    def _argument_sources(
        self, function: str, index: int
    ) -> tuple[frozenset[str], list[tuple[str, str]]]:
        found: set[str] = set()
        sources = []
        for ref in self.references.get(function, ()):
            inputs = [] if ref.node is None else data_inputs(ref.node)
            if ref.offset is None or index + ref.offset >= len(inputs):
                found.add("an indirect call")
            else:
                sources.append((ref.scope, inputs[index + ref.offset]))
        if function in self.exposed:
            found.add(self._captured_origin(function, index))
        return frozenset(found), list(dict.fromkeys(sources))

    def _variable_sources(self, handle: str) -> tuple[frozenset[str], list[tuple[str, str]]]:
        """Everything ever assigned to a variable of the main graph (assets' paths live in such)."""
        others = frozenset({f"a variable that other ops may write ('{handle}')"})
        node = self.nodes.get(handle)
        if node is None or node.op != "VarHandleOp":
            return others, []
        shared = _shared_name(node)
        if shared in self._shared_inside_functions:
            return others, []
        sources = []
        handles = self._handles_by_name[shared]
        for use in [use for each in handles for use in self._uses.get(each, ())]:
            if use.op in ("ReadVariableOp", "VarIsInitializedOp"):
                continue
            inputs = data_inputs(use)
            if use.op != "AssignVariableOp" or len(inputs) < 2 or _tensor(inputs[1])[0] in handles:
                return others, []
            sources.append(("", inputs[1]))
        return (frozenset(), list(dict.fromkeys(sources))) if sources else (others, [])

    @functools.cached_property
    def _handles_by_name(self) -> dict[bytes, set[str]]:
        found: dict[bytes, set[str]] = defaultdict(set)
        for node in self.nodes.values():
            if node.op == "VarHandleOp":
                found[_shared_name(node)].add(node.name)
        return found

    @functools.cached_property
    def _shared_inside_functions(self) -> set[bytes]:
        return {
            _shared_name(node) for scope, node in self.sites() if scope and node.op == "VarHandleOp"
        }

    @functools.cached_property
    def _uses(self) -> dict[str, list[Any]]:
        """The nodes that take each variable's handle, whatever comes of it."""
        handles = {name for names in self._handles_by_name.values() for name in names}
        found: dict[str, list[Any]] = defaultdict(list)
        for node in self.nodes.values():
            for source in {_tensor(name)[0] for name in data_inputs(node)} & handles:
                found[source].append(node)
        return found

    def _captured_origin(self, function: str, index: int) -> str:
        """What an object of the module binds to an argument when its function is called."""
        objects = self.meta_graph.object_graph_def
        if function not in objects.concrete_functions:
            return "an argument of the caller"
        bound = objects.concrete_functions[function].bound_inputs
        position = index - (len(self.arguments[function]) - len(bound))
        if position < 0:
            return "an argument of the caller"
        if len(bound) > len(self.arguments[function]):
            return "objects of which nobody can say where they are bound"
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
                self.callees[scope].append(node.op)
            for key, value in node.attr.items():
                offset = None
                if node.op not in self.functions:
                    if node.op in _PLAIN_CALLS and key == "f":
                        offset = 0
                    elif node.op in _BRANCHES:
                        offset = 1
                for name, is_call in self._named_functions(value):
                    self.references[name].append(Reference(scope, node, offset))
                    if is_call:
                        self.callees[scope].append(name)
        library = self.meta_graph.graph_def.library
        for function in library.function:
            for value in function_attributes(function):
                for name, _ in self._named_functions(value):
                    self.references[name].append(Reference(function.signature.name, None, None))
        for gradient in library.gradient:
            reference = Reference(gradient.function_name, None, None)
            self.references[gradient.gradient_func].append(reference)
        for gradient in library.registered_gradients:
            self.references[gradient.gradient_func].append(Reference("", None, None))

    def _named_functions(self, value: Any) -> Iterator[tuple[str, bool]]:
        """Functions that an attribute names, and whether as a function (not as mere text)."""
        kind = value.WhichOneof("value")
        if kind not in ("func", "list", "s"):
            return
        if kind == "list" and not value.list.func and not value.list.s:
            return
        for function in functions_in(value):
            if function.name in self.functions:
                yield function.name, True
        for text in texts_in(value):
            name = text.decode("utf-8", "replace")
            if name in self.functions:
                yield name, False

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
            try:
                packed.Unpack(asset)
            except message.DecodeError as error:
                raise ValueError(f"an asset in it cannot be read ({error})") from error
            assets.append(asset)
        return assets


def runs_at_load(entry_point: str) -> bool:
    """Whether TensorFlow runs what is reached from here while it loads the module."""
    return entry_point.endswith(("_initialize", "_create_resource", "initializer of the graph"))


def function_attributes(function: Any) -> list[Any]:
    """The attributes of a function and of its arguments."""
    of_arguments = [value for each in function.arg_attr.values() for value in each.attr.values()]
    return [*function.attr.values(), *of_arguments]


def data_inputs(node: Any) -> list[str]:
    """A node's inputs without those that only say what must run before."""
    return [name for name in node.input if not name.startswith("^")]


def functions_in(value: Any) -> Iterator[Any]:
    """The functions in an attribute, those within another's attributes included."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        kind = each.WhichOneof("value")
        named = [each.func] if kind == "func" else list(each.list.func) if kind == "list" else []
        for function in named:
            yield function
            waiting.extend(function.attr.values())


def texts_in(value: Any) -> Iterator[bytes]:
    """The texts in an attribute, those within a function's attributes included."""
    for each in [value, *(inner for f in functions_in(value) for inner in f.attr.values())]:
        kind = each.WhichOneof("value")
        if kind == "s":
            yield each.s
        elif kind == "list":
            yield from each.list.s


def _some(descriptions: frozenset[str]) -> frozenset[str]:
    """The first few of many descriptions: enough to refuse by, in bounded memory."""
    if len(descriptions) <= _ORIGINS_TOLD:
        return descriptions
    harmless = descriptions & {ASSET, SAVER_PATH}
    return harmless | frozenset(sorted(descriptions - harmless)[:_ORIGINS_TOLD])


def _by_name(items: Iterable[Any], name_of: Any) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for item in items:
        name = name_of(item)
        if name in named:
            raise ValueError(f"two parts of the graph have the name {name!r}")
        named[name] = item
    return named


def _shared_name(node: Any) -> bytes:
    return node.attr["shared_name"].s or node.name.encode()


def _tensor(name: str) -> tuple[str, str]:
    """Splits an input's name into its node and its port ("^node" and "node:out:0" included)."""
    node, _, port = name.removeprefix("^").partition(":")
    return node, port or "0"


def _tensor_names(info: Any) -> list[str]:
    names, waiting = [], [info]
    while waiting:
        each = waiting.pop()
        sparse = each.coo_sparse
        names += [each.name, sparse.values_tensor_name, sparse.indices_tensor_name]
        names.append(sparse.dense_shape_tensor_name)
        waiting.extend(each.composite_tensor.components)
    return [name for name in names if name]


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
                paths[child] = f"{paths[index]}.{name}".lstrip(".")[-_LONGEST_PATH:]
                waiting.append(child)
    return paths


# A path that grows with each object would make the audit's memory grow with the square.
_LONGEST_PATH = 200
