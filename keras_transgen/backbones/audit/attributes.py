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


_Judge = Callable[[Any], str | None]


def _text(value: Any) -> bytes | None:
    """A literal text; `None` where the attribute is anything else."""
    return value.s if value.WhichOneof("value") == "s" else None


def _no_literal(what: str) -> str:
    return f"does not say {what} as a literal"


def _text_judge(what: str, does: str, is_harmless: Callable[[str], bool]) -> _Judge:
    """Refuses what is no literal text, and one that makes the op do something with a file."""

    def judge(value: Any) -> str | None:
        text = _text(value)
        if text is None:
            return _no_literal(what)
        name = text.decode("utf-8", "replace")
        return None if is_harmless(name) else f"{does} the file {name}"

    return judge


_refuse_stream = _text_judge("where it prints to", "prints to", _STREAMS.__contains__)
_refuse_vocabulary = _text_judge("its vocabulary file", "reads", lambda name: not name)
_refuse_descriptor = _text_judge(
    "its protocol's descriptor",
    "reads",
    lambda name: name in ("", "local://") or name.startswith("bytes://"),
)


def _refuse_types(value: Any) -> str | None:
    """For one type, or a list of them."""
    kind = value.WhichOneof("value")
    if kind not in ("type", "list"):
        return _no_literal("what it makes")
    types = [value.type] if kind == "type" else value.list.type
    if OPAQUE_TYPES.intersection(types):
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


#: Ops that are harmless only where these attributes say so.
CONDITIONS: dict[str, dict[str, _Judge]] = {
    "PrintV2": {"output_stream": _refuse_stream},
    "FixedUnigramCandidateSampler": {"vocab_file": _refuse_vocabulary},
    "DecodeProtoV2": {"descriptor_source": _refuse_descriptor, "output_types": _refuse_types},
    "EncodeProto": {"descriptor_source": _refuse_descriptor},
    "ParseTensor": {"out_type": _refuse_types},
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
