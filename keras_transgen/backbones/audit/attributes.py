"""What an op's attributes must say: literals, since anything else is said by somebody else.

An attribute inside a function may be a placeholder that the calling node binds. Whoever reads it
then sees nothing. Modules that TensorFlow writes hold none, so all are refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf import message
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import config_pb2

OPAQUE_TYPES = frozenset(
    {
        types_pb2.DT_VARIANT,
        types_pb2.DT_VARIANT_REF,
        types_pb2.DT_RESOURCE,
        types_pb2.DT_RESOURCE_REF,
    }
)
# Of a dense table: places that it begins with, and numbers in each.
_MAX_BUCKETS = 2**20
_MAX_ENTRY = 2**6
_MAX_DIMENSIONS = 8
_STREAMS = frozenset({"", "stdout", "stderr", "log(info)", "log(warning)", "log(error)"})
_CONFIG_FIELDS = frozenset(
    {
        "allow_soft_placement",
        "device_count",
        "experimental",
        "gpu_options",
        "graph_options",
        "log_device_placement",
        "pluggable_device_options",
    }
)


def refuse_attribute(value: Any, functions: Any) -> Iterator[str]:
    """What speaks against an attribute, whatever op it belongs to."""
    kind = value.WhichOneof("value")
    if kind == "placeholder":
        yield f"leaves an attribute to whoever calls it ({value.placeholder!r})"
    named = [value.func] if kind == "func" else list(value.list.func) if kind == "list" else []
    for function in named:
        if function.name not in functions:
            yield f"names a function that the module does not have ({function.name!r})"
        for inner in function.attr.values():
            inside = inner.WhichOneof("value")
            if inside == "placeholder":
                yield f"leaves an attribute to whoever calls it ({inner.placeholder!r})"
            elif inside == "func" or (inside == "list" and len(inner.list.func)):
                yield "hides a function within a function's attributes"


def refuse_condition(node: Any) -> str | None:
    """What speaks against the attributes of an op that is harmless only with some of them."""
    for attribute, judge in CONDITIONS.get(node.op, {}).items():
        if attribute not in node.attr:
            continue
        reason = judge(node.attr[attribute])
        if reason is not None:
            return reason
    return None


def _text(value: Any) -> bytes | None:
    """A literal text; `None` where the attribute is anything else."""
    return value.s if value.WhichOneof("value") == "s" else None


def _no_literal(what: str) -> str:
    return f"does not say {what} as a literal"


def _refuse_stream(value: Any) -> str | None:
    text = _text(value)
    if text is None:
        return _no_literal("where it prints to")
    stream = text.decode("utf-8", "replace")
    return None if stream in _STREAMS else f"prints to the file {stream}"


def _refuse_vocabulary(value: Any) -> str | None:
    text = _text(value)
    if text is None:
        return _no_literal("its vocabulary file")
    return f"reads the file {text.decode('utf-8', 'replace')}" if text else None


def _refuse_descriptor(value: Any) -> str | None:
    text = _text(value)
    if text is None:
        return _no_literal("its protocol's descriptor")
    if not text or text == b"local://" or text.startswith(b"bytes://"):
        return None
    return f"reads the file {text.decode('utf-8', 'replace')}"


def _refuse_type(value: Any) -> str | None:
    if value.WhichOneof("value") != "type":
        return _no_literal("what it makes")
    if value.type in OPAQUE_TYPES:
        return "makes a graph, a data set or a handle out of text"
    return None


def _refuse_types(value: Any) -> str | None:
    if value.WhichOneof("value") != "list":
        return _no_literal("what it makes")
    if OPAQUE_TYPES.intersection(value.list.type):
        return "makes a graph, a data set or a handle out of text"
    return None


def _refuse_text(value: Any) -> str | None:
    return None if _text(value) == b"" else "asks for an executor or a runtime of its own"


def _refuse_configuration(value: Any) -> str | None:
    text = _text(value)
    if text is None:
        return _no_literal("its configuration")
    configuration = config_pb2.ConfigProto()
    try:
        configuration.ParseFromString(text)
    except message.DecodeError:
        return "has a configuration that cannot be read"
    said = {field.name for field, _ in configuration.ListFields()}
    rewriting = configuration.graph_options.rewrite_options
    if said - _CONFIG_FIELDS or rewriting.custom_optimizers or rewriting.optimizers:
        other = sorted(said - _CONFIG_FIELDS) or ["optimizers"]
        return f"configures the runtime ({', '.join(other)})"
    return None


def _refuse_buckets(value: Any) -> str | None:
    if value.WhichOneof("value") != "i":
        return _no_literal("how large it is")
    return None if 0 <= value.i <= _MAX_BUCKETS else f"makes a table of {value.i:,} places"


def _refuse_entries(value: Any) -> str | None:
    if value.WhichOneof("value") != "shape":
        return _no_literal("how large its entries are")
    sizes = [dim.size for dim in value.shape.dim]
    is_small = len(sizes) <= _MAX_DIMENSIONS and all(0 <= size <= _MAX_ENTRY for size in sizes)
    if is_small and math.prod(sizes) <= _MAX_ENTRY:
        return None
    return "makes a table of large entries"


_Judge = Callable[[Any], str | None]

#: Ops that are harmless only where these attributes say so.
CONDITIONS: dict[str, dict[str, _Judge]] = {
    "PrintV2": {"output_stream": _refuse_stream},
    "FixedUnigramCandidateSampler": {"vocab_file": _refuse_vocabulary},
    "DecodeProtoV2": {"descriptor_source": _refuse_descriptor, "output_types": _refuse_types},
    "EncodeProto": {"descriptor_source": _refuse_descriptor},
    "ParseTensor": {"out_type": _refuse_type},
    **{
        op: {"initial_num_buckets": _refuse_buckets, "value_shape": _refuse_entries}
        for op in (
            "AnonymousMutableDenseHashTable",
            "MutableDenseHashTable",
            "MutableDenseHashTableV2",
        )
    },
    **{
        op: {
            "config": _refuse_text,
            "config_proto": _refuse_configuration,
            "executor_type": _refuse_text,
        }
        for op in ("PartitionedCall", "StatefulPartitionedCall")
    },
}
