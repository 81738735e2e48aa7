"""Reads a SavedModel's graph before TensorFlow loads it, and refuses what no network needs.

Loading a SavedModel runs parts of it: a resource's initializer can write a file before anything
is called. So the module's protocol buffer is read here, and every op of its graph and of its
function library is held against `allowed_ops`, whether something is seen to reach it or not.
`docs/audit.md` says what this proves.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from keras_transgen.backbones.audit import module_graph
from keras_transgen.backbones.audit.allowed_ops import (
    ALLOWED_OPS,
    ASSET_READERS,
    RESTORE_OPS,
    SAVE_OPS,
    refusal,
)
from keras_transgen.backbones.audit.at_load import refuse_at_load
from keras_transgen.backbones.audit.attributes import refuse_attribute, refuse_condition
from keras_transgen.backbones.audit.calls import refuse_calls, unfolded_sizes
from keras_transgen.backbones.audit.constants import (
    ConstantBudget,
    computed_ahead,
    is_opaque,
)
from keras_transgen.backbones.audit.module_graph import ModuleGraph, data_inputs
from keras_transgen.backbones.audit.names import refuse_keys, refuse_names
from keras_transgen.backbones.audit.objects import refuse_objects
from keras_transgen.backbones.audit.report import AuditReport, UnsafeModuleError, UnsafeOp
from keras_transgen.backbones.audit.savers import SaverAudit
from keras_transgen.backbones.audit.wire import (
    UnreadableModuleError,
    parse_saved_model,
    read_graph_file,
)
from keras_transgen.backbones.garbage_collection import without_collection
from keras_transgen.datasets.printable import printable

# Finding how something is reached takes a walk through the module: enough for whoever reads it.
_TOLD = 100

_Finding = tuple[str, str, Any, str]


def audit_module(
    folder: str | os.PathLike[str],
    *,
    allow_unsafe_ops: bool = False,
    name: str | os.PathLike[str] | None = None,
) -> AuditReport:
    """Checks a SavedModel's ops against what a network may do, without loading it.

    Every op counts, reachable or not: nodes of the graph, the function library with its
    branches, loop bodies and gradients, and initializers that run at loading. Files may be read
    only where the file is one of the module's assets, and the ops that save and restore
    variables may only sit in the functions that TensorFlow itself calls for that. What runs at
    loading must end and stay small. What the audit does not model is refused.

    Args:
        folder: The SavedModel's folder, with a `saved_model.pb` in it.
        allow_unsafe_ops: Report unsafe ops instead of raising. Defaults to False.
        name: What error messages call the folder. Defaults to its path.

    Returns:
        An `AuditReport`.

    Raises:
        UnsafeModuleError: If there are unsafe ops and `allow_unsafe_ops` is False. It names each
            op, where it sits and why it is refused.
        ValueError: If the folder holds no SavedModel, or one that cannot be read.

    Example:
        ```python
        import tempfile
        import tensorflow as tf
        from keras_transgen.backbones.audit import audit_module

        module = tf.Module()
        module.__call__ = tf.function(lambda x: 2.0 * x, [tf.TensorSpec([None])])
        folder = tempfile.mkdtemp()
        tf.saved_model.save(module, folder)
        print(audit_module(folder).unsafe)  # ()
        ```
    """
    shown = os.fspath(folder if name is None else name)
    with without_collection():
        report = _report(Path(folder), shown)
    if report.unsafe and not allow_unsafe_ops:
        raise UnsafeModuleError(shown, report)
    return report


def _report(path: Path, shown: str) -> AuditReport:
    saved_model = _parse(path, shown)
    graphs = saved_model.meta_graphs
    as_objects = len(graphs) == 1 and graphs[0].HasField("object_graph_def")
    ops: Counter[str] = Counter()
    unsafe: list[UnsafeOp] = []
    doubtful: list[UnsafeOp] = []
    assets: list[str] = []
    functions = 0
    for meta_graph in graphs:
        try:
            graph = ModuleGraph(meta_graph, as_objects)
        except ValueError as error:
            raise _unreadable(shown, str(error)) from error
        ops.update(node.op for _, node in graph.sites())
        functions += len(graph.functions)
        assets.extend(asset.filename for asset in graph.asset_files)
        findings = itertools.islice(_findings(graph, path), _TOLD)
        unsafe.extend(_told(graph, finding) for finding in findings)
        doubts = itertools.islice(_doubts(graph), _TOLD)
        doubtful.extend(_told(graph, finding) for finding in doubts)
    root = graphs[0] if as_objects else None
    return AuditReport(
        ops=dict(sorted(ops.items())),
        unsafe=tuple(dict.fromkeys(unsafe)),
        functions=functions,
        loads_assets=tuple(dict.fromkeys(assets)),
        has_call=root is not None and _call(root) is not None,
        call_takes_training=None if root is None else _takes_training(root),
        signatures=tuple(
            dict.fromkeys(
                name
                for meta_graph in graphs
                for name in sorted(meta_graph.signature_def)
                if not name.startswith("__saved_model")
            )
        ),
        doubtful=tuple(dict.fromkeys(doubtful)),
    )


def _parse(folder: Path, shown: str) -> Any:
    """Reads the file that TensorFlow would read first, and no other."""
    try:
        return parse_saved_model(read_graph_file(folder))
    except FileNotFoundError:
        text = folder / "saved_model.pbtxt"
        advice = (
            "A SavedModel in text form must be exported in binary form"
            if text.exists()
            else "Give the folder that tf.saved_model.save wrote, or a handle that load_backbone "
            "can fetch"
        )
        raise ValueError(
            "Expected a SavedModel's folder, with a saved_model.pb in it. "
            f"{advice}. Received: folder={shown}"
        ) from None
    except (OSError, UnreadableModuleError) as error:
        raise _unreadable(shown, str(error)) from error


def _unreadable(folder: str, what: str) -> ValueError:
    return ValueError(
        f"Expected a SavedModel that can be read: {printable(what)}. The file is truncated or no "
        "SavedModel: fetch or save the module again (and remove the broken copy from the cache). "
        f"Received: folder={folder}"
    )


def _findings(graph: ModuleGraph, folder: Path) -> Iterator[_Finding]:
    """Everything that speaks against a graph: what, the function, the node or None, and why."""
    sizes = unfolded_sizes(graph)
    for text in _refuse_assets(graph, folder):
        yield "an asset", "asset_file_def", None, text
    for reason in refuse_objects(graph, _checkpoint_bytes(folder)):
        yield "an object", "object_graph_def", None, reason
    for text in refuse_keys(graph):
        yield "a name", "the module", None, text
    for scope, node, reason in refuse_names(graph):
        yield "a function" if node is None else node.op, scope, node, reason
    for scope, reason in refuse_calls(graph, sizes):
        yield "a function", scope, None, reason
    yield from _refuse_nodes(graph)
    for name, function in graph.functions.items():
        for value in module_graph.function_attributes(function):
            for reason in _refuse_value(value, graph, None):
                yield "an attribute", name, None, reason
    for scope, node, reason in refuse_at_load(graph, sizes):
        yield node.op, scope, node, reason


def _doubts(graph: ModuleGraph) -> Iterator[_Finding]:
    scopes = list(graph.functions) if graph.loaded_as_objects else ["", *graph.functions]
    for scope, node, reason in computed_ahead(graph, scopes):
        yield node.op, scope, node, reason


def _refuse_nodes(graph: ModuleGraph) -> Iterator[_Finding]:
    savers, budget = SaverAudit(graph), ConstantBudget()
    for scope, node in graph.sites():
        reason = _refuse_node(graph, savers, scope, node)
        if reason is not None:
            yield node.op, scope, node, reason
        for value in node.attr.values():
            for reason in _refuse_value(value, graph, budget):
                yield node.op, scope, node, reason


def _refuse_node(graph: ModuleGraph, savers: SaverAudit, scope: str, node: Any) -> str | None:
    # A function of another name than any op: TensorFlow calls it, and its own nodes are judged.
    if node.op in graph.functions:
        return None
    if node.op in SAVE_OPS | RESTORE_OPS:
        return savers.refuse_op(scope, node)
    if node.op in ASSET_READERS:
        return _refuse_reader(graph, scope, node)
    if node.op not in ALLOWED_OPS:
        return refusal(node.op)
    return refuse_condition(node)


def _refuse_reader(graph: ModuleGraph, scope: str, node: Any) -> str | None:
    inputs = data_inputs(node)
    position = ASSET_READERS[node.op]
    if position >= len(inputs):
        return "reads a file that it does not name"
    others = graph.origins(scope, inputs[position]) - {module_graph.ASSET}
    if not others:
        return None
    return f"reads a file that is no asset: its name comes from {', '.join(sorted(others))}"


def _refuse_value(value: Any, graph: ModuleGraph, budget: ConstantBudget | None) -> Iterator[str]:
    kind = value.WhichOneof("value")
    if kind not in ("tensor", "list", "func", "placeholder"):
        return
    if kind == "list" and not value.list.func and not value.list.tensor:
        return
    yield from refuse_attribute(value, graph.functions)
    named = [value.func] if kind == "func" else list(value.list.func) if kind == "list" else []
    tensors = [value.tensor] if kind == "tensor" else list(value.list.tensor)
    tensors += [inner.tensor for each in named for inner in each.attr.values()]
    for tensor in tensors:
        if is_opaque(tensor):
            yield "holds a constant that can hide a graph, a data set or a handle"
        reason = (budget or ConstantBudget()).refuse(tensor)
        if reason is not None:
            yield reason


def _refuse_assets(graph: ModuleGraph, folder: Path) -> Iterator[str]:
    for asset in graph.asset_files:
        name = PurePosixPath(asset.filename)
        inside = (folder / "assets" / name).resolve().is_relative_to(folder.resolve())
        if name.is_absolute() or ".." in name.parts or "://" in asset.filename or not inside:
            yield f"lies outside: {asset.filename}"


def _checkpoint_bytes(folder: Path) -> int:
    variables = folder / "variables"
    if not variables.is_dir():
        return 0
    return sum(file.stat().st_size for file in variables.iterdir() if file.is_file())


def _told(graph: ModuleGraph, finding: _Finding) -> UnsafeOp:
    op, scope, node, reason = finding
    if node is None and scope not in graph.functions:
        return UnsafeOp(op, scope, reason)
    return UnsafeOp(op, _where(graph, scope, node), reason)


def _where(graph: ModuleGraph, scope: str, node: Any) -> str:
    if scope:
        place, entries = f"function {scope}", graph.entry_points(scope)
    else:
        place, entries = f"node {node.name} of the graph", []
        if node.name in graph.initializer_nodes:
            entries.append("the initializer of the graph")
        if node.name in graph.signature_nodes:
            entries.append("a signature")
    if not entries:
        return place
    when = "run while loading" if module_graph.runs_at_load(entries[0]) else "run when called"
    return f"{place}, {when}: {', '.join(entries[:3])}"


def _call(meta_graph: Any) -> Any | None:
    objects = meta_graph.object_graph_def
    if not objects.nodes:
        return None
    for child in objects.nodes[0].children:
        if child.local_name == "__call__" and 0 <= child.node_id < len(objects.nodes):
            return objects.nodes[child.node_id]
    return None


def _takes_training(meta_graph: Any) -> bool | None:
    call = _call(meta_graph)
    if call is None or call.WhichOneof("kind") != "function":
        return None
    specification = call.function.function_spec.fullargspec.named_tuple_value
    fields = {pair.key: pair.value for pair in specification.values}
    if not fields:
        return None
    named = [
        value.string_value
        for key in ("args", "kwonlyargs")
        if key in fields
        for value in fields[key].list_value.values
    ]
    if "training" in named:
        return True
    if "varkw" in fields and fields["varkw"].string_value:
        # It takes whatever it was traced with.
        functions = meta_graph.object_graph_def.concrete_functions
        return any(
            pair_key == "training"
            for name in call.function.concrete_functions
            if name in functions
            for element in functions[name].canonicalized_input_signature.tuple_value.values
            for pair_key in element.dict_value.fields
        )
    return False
