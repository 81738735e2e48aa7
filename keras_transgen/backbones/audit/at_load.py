"""What TensorFlow runs while it loads a module: only ops that end, and that make nothing large.

A resource's `_create_resource` and `_initialize` run at loading, the functions that restore an
object's state, and the initializer of a TensorFlow 1 graph. They fill tables and read assets, so
ops with that purpose are enough: none that loops, draws, decodes, or makes much out of little.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from keras_transgen.backbones.audit.allowed_ops import ASSET_READERS, RESTORE_OPS
from keras_transgen.backbones.audit.constants import growth
from keras_transgen.backbones.audit.module_graph import ModuleGraph, data_inputs

#: Names under which TensorFlow calls an object's functions while it loads or forgets it.
RUN_CHILDREN = frozenset({"_create_resource", "_destroy_resource", "_initialize"})

#: Most ops that may run at loading, each as often as it is called.
MAX_OPS_AT_LOAD = 100_000
MAX_OPS_AT_LOAD_WITH_FILES = 10_000
_FILLING_TABLES = """
    AnonymousHashTable AnonymousMutableDenseHashTable AnonymousMutableHashTable
    AnonymousMutableHashTableOfTensors Assert Assign AssignVariableOp Const DestroyResourceOp
    EnsureShape HashTable HashTableV2 Identity IdentityN InitializeTable InitializeTableV2
    LookupTableExport LookupTableExportV2 LookupTableImport LookupTableImportV2
    LookupTableInsert LookupTableInsertV2 LookupTableSize LookupTableSizeV2
    MutableDenseHashTable MutableDenseHashTableV2 MutableHashTable MutableHashTableOfTensors
    MutableHashTableOfTensorsV2 MutableHashTableV2 NoOp PartitionedCall Placeholder
    PlaceholderWithDefault ReadVariableOp Reshape SentencepieceOp StatefulPartitionedCall
    VarHandleOp VarIsInitializedOp Variable VariableV2
"""
_OPS_AT_LOAD = ASSET_READERS.keys() | RESTORE_OPS | frozenset(_FILLING_TABLES.split())
# Strings that are put together double with each step, but for a literal at their end.
_SUMS = frozenset({"Add", "AddV2"})
_LONGEST_ENDING = 256
# A constant may say its value once; what runs at loading would make the whole of it, each time.
_MAX_GROWTH = 2**16


def refuse_at_load(graph: ModuleGraph, sizes: Mapping[str, int]) -> Iterator[tuple[str, Any, str]]:
    """Everything that runs at loading and should not.

    Args:
        graph: The module's graph.
        sizes: How many ops each function runs, as `calls.unfolded_sizes` says.

    Yields:
        The function (empty for the main graph), the node, and the reason.
    """
    main = [graph.nodes[name] for name in sorted(graph.nodes_run_at_load)]
    called = [*_roots(graph), *_callees_of(graph, main)]
    sites = [("", node) for node in main]
    for name in sorted(graph.called_from(called)):
        sites += [(name, node) for node in graph.functions[name].node_def]
    readers = 0
    for scope, node in sites:
        if node.op == "Const" and growth(node.attr["value"].tensor) > _MAX_GROWTH:
            yield scope, node, "makes much out of little while the module is loaded"
        readers += node.op in ASSET_READERS
        if node.op in _OPS_AT_LOAD or node.op in graph.functions:
            continue
        if not (node.op in _SUMS and _ends_a_key(graph, scope, node)):
            yield scope, node, "runs while the module is loaded, where only tables are filled"
    most = MAX_OPS_AT_LOAD_WITH_FILES if readers else MAX_OPS_AT_LOAD
    if sites and len(main) + sum(sizes.get(name, 0) for name in called) > most:
        yield *sites[0], f"belongs to more than {most:,} ops that run at loading"


def _ends_a_key(graph: ModuleGraph, scope: str, node: Any) -> bool:
    """Whether a short literal is added to an argument, as where a key gets its ending."""
    inputs = data_inputs(node)
    if not scope or len(inputs) != 2 or inputs[0] not in graph.arguments[scope]:
        return False
    added = graph.nodes_of(scope).get(inputs[1].partition(":")[0])
    if added is None or added.op != "Const":
        return False
    tensor = added.attr["value"].tensor
    return not tensor.tensor_shape.dim and tensor.ByteSize() <= _LONGEST_ENDING


def _roots(graph: ModuleGraph) -> list[str]:
    """Functions that loading runs."""
    objects = graph.meta_graph.object_graph_def
    places: set[int] = set()
    for saved in objects.nodes:
        places.update(c.node_id for c in saved.children if c.local_name in RUN_CHILDREN)
        for saveable in saved.saveable_objects.values():
            places.update((saveable.save_function, saveable.restore_function))
    names: set[str] = set()
    for place in places:
        if 0 <= place < len(objects.nodes):
            function = objects.nodes[place]
            names.update(function.function.concrete_functions)
            names.add(function.bare_concrete_function.concrete_function_name)
    return sorted(names & graph.functions.keys())


def _callees_of(graph: ModuleGraph, nodes: list[Any]) -> Iterator[str]:
    """The functions that nodes of the main graph call, as often as they do."""
    wanted = {node.name for node in nodes}
    for name, references in graph.references.items():
        for ref in references:
            if not ref.scope and ref.node is not None and ref.node.name in wanted:
                yield name
