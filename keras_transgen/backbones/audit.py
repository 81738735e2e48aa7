"""Reads a SavedModel's graph before TensorFlow loads it, and refuses what no network needs.

Loading a SavedModel runs parts of it: a resource's initializer can write a file before anything
is called. So the module's protocol buffer is read here, and every op of its graph and of its
function library is held against `allowed_ops`, whether something is seen to reach it or not.
"""

import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from google.protobuf import message, text_format
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2

from keras_transgen.backbones import module_graph
from keras_transgen.backbones.allowed_ops import (
    ALLOWED_OPS,
    ASSET_READERS,
    RESTORE_OPS,
    SAVE_OPS,
    refusal,
)
from keras_transgen.backbones.module_graph import ModuleGraph
from keras_transgen.backbones.saver_audit import SaverAudit

_OPAQUE_TYPES = frozenset(
    {
        types_pb2.DT_VARIANT,
        types_pb2.DT_VARIANT_REF,
        types_pb2.DT_RESOURCE,
        types_pb2.DT_RESOURCE_REF,
    }
)
_LISTED_IN_ERROR = 20


@dataclasses.dataclass(frozen=True)
class UnsafeOp:
    """One op that the audit refuses.

    Attributes:
        op: The op's name, as in `"WriteFile"`.
        where: The function it sits in, and what reaches that function.
        reason: Why it is refused, as a verb phrase.
    """

    op: str
    where: str
    reason: str

    def __str__(self) -> str:
        return f"{self.op} {self.reason} ({self.where})"


@dataclasses.dataclass(frozen=True)
class AuditReport:
    """What a SavedModel's protocol buffer says about it.

    Attributes:
        ops: How often each op occurs, in the graph and all functions.
        unsafe: What the audit refuses; empty for a module that is safe to load.
        functions: How many functions the module has.
        loads_assets: Names of the asset files it reads.
        has_call: Whether its root object can be called.
        call_takes_training: Whether that call takes `training`, None where it cannot be told.
        signatures: Names of its signatures.
    """

    ops: Mapping[str, int]
    unsafe: tuple[UnsafeOp, ...]
    functions: int
    loads_assets: tuple[str, ...]
    has_call: bool
    call_takes_training: bool | None
    signatures: tuple[str, ...]


class UnsafeModuleError(ValueError):
    """A module holds ops that could read or write files, call Python, or leave the machine.

    Attributes:
        report: The whole `AuditReport`.
    """

    def __init__(self, folder: str, report: AuditReport) -> None:
        self.report = report
        lines = list(dict.fromkeys(f"  - {found}" for found in report.unsafe))
        if len(lines) > _LISTED_IN_ERROR:
            lines[_LISTED_IN_ERROR:] = [f"  - and {len(lines) - _LISTED_IN_ERROR} more"]
        listing = "\n".join(lines)
        super().__init__(
            "Expected a module that only computes. This one holds ops that a network does not "
            f"need, so nothing of it was loaded:\n{listing}\n"
            "If you trust whoever made it, load it with allow_unsafe_ops=True. "
            f"Received: folder={folder}"
        )


def audit_module(folder: str | os.PathLike[str], *, allow_unsafe_ops: bool = False) -> AuditReport:
    """Checks a SavedModel's ops against what a network may do, without loading it.

    Every op counts, reachable or not: nodes of the graph, the function library with its
    branches, loop bodies and gradients, and initializers that run at loading. Files may be read
    only where the file is one of the module's assets, and the ops that save and restore
    variables may only sit in the functions that TensorFlow itself calls for that.

    Args:
        folder: The SavedModel's folder, with a `saved_model.pb` in it.
        allow_unsafe_ops: Report unsafe ops instead of raising. Defaults to False.

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
    path = Path(folder)
    saved_model = _parse(path)
    graphs = saved_model.meta_graphs
    as_objects = len(graphs) == 1 and graphs[0].HasField("object_graph_def")
    ops: Counter[str] = Counter()
    unsafe: list[UnsafeOp] = []
    assets: list[str] = []
    functions = 0
    for meta_graph in graphs:
        try:
            graph = ModuleGraph(meta_graph, as_objects)
        except ValueError as error:
            raise _unreadable(path, str(error)) from error
        ops.update(node.op for _, node in graph.sites())
        functions += len(graph.functions)
        assets.extend(asset.filename for asset in graph.asset_files)
        unsafe.extend(_unsafe_assets(graph, path))
        unsafe.extend(_unsafe_ops(graph))
    root = graphs[0] if as_objects else None
    report = AuditReport(
        ops=dict(sorted(ops.items())),
        unsafe=tuple(unsafe),
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
    )
    if report.unsafe and not allow_unsafe_ops:
        raise UnsafeModuleError(str(folder), report)
    return report


def _parse(folder: Path) -> Any:
    """Reads the file that TensorFlow would read, in TensorFlow's order."""
    saved_model = saved_model_pb2.SavedModel()
    binary, text = folder / "saved_model.pb", folder / "saved_model.pbtxt"
    try:
        if binary.exists():
            saved_model.ParseFromString(binary.read_bytes())
        elif text.exists():
            text_format.Parse(text.read_text("utf-8"), saved_model)
        else:
            raise ValueError(
                "Expected a SavedModel's folder, with a saved_model.pb in it. Give the folder "
                "that tf.saved_model.save wrote, or a handle that load_backbone can fetch. "
                f"Received: folder={folder}"
            )
    except (OSError, UnicodeDecodeError, text_format.ParseError, message.DecodeError) as error:
        raise _unreadable(folder, str(error)) from error
    if not saved_model.meta_graphs:
        raise _unreadable(folder, "it holds no graph")
    return saved_model


def _unreadable(folder: Path, what: str) -> ValueError:
    return ValueError(
        f"Expected a SavedModel that can be read: {what}. The file is truncated or no "
        "SavedModel: fetch or save the module again (and remove the broken copy from the cache). "
        f"Received: folder={folder}"
    )


def _unsafe_ops(graph: ModuleGraph) -> Iterator[UnsafeOp]:
    savers = SaverAudit(graph)
    for scope, node in graph.sites():
        reason = _refuse_node(graph, savers, scope, node)
        if reason is not None:
            yield UnsafeOp(node.op, _where(graph, scope, node), reason)
        for text in filter(None, map(_refuse_constant, node.attr.values())):
            yield UnsafeOp(node.op, _where(graph, scope, node), text)
    for name, function in graph.functions.items():
        attributes = module_graph.function_attributes(function)
        for text in filter(None, map(_refuse_constant, attributes)):
            yield UnsafeOp("an attribute", _where(graph, name, None), text)


def _refuse_node(graph: ModuleGraph, savers: "SaverAudit", scope: str, node: Any) -> str | None:
    # A function may bear an op's name, and TensorFlow then calls the function.
    if node.op in graph.functions:
        return None
    if node.op in SAVE_OPS | RESTORE_OPS:
        return savers.refuse_op(scope, node)
    if node.op in ASSET_READERS:
        return _refuse_reader(graph, scope, node)
    if node.op not in ALLOWED_OPS:
        return refusal(node.op)
    return _CONDITIONS[node.op](node) if node.op in _CONDITIONS else None


def _refuse_reader(graph: ModuleGraph, scope: str, node: Any) -> str | None:
    inputs = [name for name in node.input if not name.startswith("^")]
    position = ASSET_READERS[node.op]
    if position >= len(inputs):
        return "reads a file that it does not name"
    others = graph.origins(scope, inputs[position]) - {module_graph.ASSET}
    if not others:
        return None
    return f"reads a file that is no asset: its name comes from {', '.join(sorted(others))}"


def _refuse_print(node: Any) -> str | None:
    stream = node.attr["output_stream"].s.decode("utf-8", "replace")
    return f"prints to the file {stream}" if stream.startswith("file:") else None


def _refuse_sampler(node: Any) -> str | None:
    file = node.attr["vocab_file"].s
    return f"reads the file {file.decode('utf-8', 'replace')}" if file else None


def _refuse_protocol(node: Any) -> str | None:
    source = node.attr["descriptor_source"].s
    if not source or source == b"local://" or source.startswith(b"bytes://"):
        return None
    return f"reads the file {source.decode('utf-8', 'replace')}"


def _refuse_parsing(node: Any) -> str | None:
    if node.attr["out_type"].type in _OPAQUE_TYPES:
        return "makes a graph, a data set or a handle out of text"
    return None


_CONDITIONS: dict[str, Callable[[Any], str | None]] = {
    "PrintV2": _refuse_print,
    "FixedUnigramCandidateSampler": _refuse_sampler,
    "DecodeProtoV2": _refuse_protocol,
    "EncodeProto": _refuse_protocol,
    "ParseTensor": _refuse_parsing,
}


def _refuse_constant(value: Any) -> str | None:
    kind = value.WhichOneof("value")
    if kind == "tensor":
        tensors: Iterable[Any] = [value.tensor]
    elif kind == "list":
        nested = [attr for function in value.list.func for attr in function.attr.values()]
        tensors = list(value.list.tensor)
        if any(map(_refuse_constant, nested)):
            return "hides an opaque constant in a function's attribute"
    elif kind == "func":
        return next(filter(None, map(_refuse_constant, value.func.attr.values())), None)
    else:
        return None
    if any(_is_opaque(tensor) for tensor in tensors):
        return "holds a constant that can hide a graph, a data set or a handle"
    return None


def _is_opaque(tensor: Any) -> bool:
    variants = list(tensor.variant_val)
    if tensor.dtype not in _OPAQUE_TYPES and not variants and not tensor.resource_handle_val:
        return False
    only_lists = bool(variants) and not tensor.resource_handle_val
    return not (
        only_lists
        and all(variant.type_name == "tensorflow::TensorList" for variant in variants)
        and not any(_is_opaque(part) for variant in variants for part in variant.tensors)
    )


def _unsafe_assets(graph: ModuleGraph, folder: Path) -> Iterator[UnsafeOp]:
    for asset in graph.asset_files:
        name = PurePosixPath(asset.filename)
        inside = (folder / "assets" / name).resolve().is_relative_to(folder.resolve())
        if name.is_absolute() or ".." in name.parts or "://" in asset.filename or not inside:
            yield UnsafeOp("an asset", "asset_file_def", f"lies outside: {asset.filename}")


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
