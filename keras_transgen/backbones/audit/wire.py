"""Reads a `saved_model.pb` within bounds: what it costs is counted before anything is made of it.

A protocol buffer of some kilobytes can name millions of empty messages, each of which becomes an
object. So the bytes are first walked through, without recursion and without making anything, and
what reading them would take is added up.
"""

from __future__ import annotations

import hashlib
import os
import stat
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import message
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from tensorflow.core.protobuf import saved_model_pb2

#: Largest `saved_model.pb` that is read. TensorFlow itself stops at 2 GiB.
MAX_GRAPH_BYTES = 2**31 - 1
#: What reading may take: this much, and a multiple of the file's size.
COST_FLOOR = 64 * 2**20
COST_RATIO = 16
MAX_DEPTH = 64

# Bytes that protobuf needs for what the wire says in two, measured with its C++ implementation.
_MESSAGE_COST = 112
_ITEM_COST = 32
_PACKED_COST = 8

_NOT_PACKED = frozenset(
    {
        FieldDescriptor.TYPE_STRING,
        FieldDescriptor.TYPE_BYTES,
        FieldDescriptor.TYPE_MESSAGE,
        FieldDescriptor.TYPE_GROUP,
    }
)


class UnreadableModuleError(ValueError):
    """A `saved_model.pb` that is damaged, no protocol buffer, or costs too much to read."""


def read_graph_file(folder: str | os.PathLike[str]) -> bytes:
    """The bytes of a module's `saved_model.pb`, a regular file of a bounded size."""
    file = Path(folder, "saved_model.pb")
    # A pipe would hold the reader for ever.
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with open(descriptor, "rb") as content:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableModuleError("its saved_model.pb is no regular file")
        if status.st_size > MAX_GRAPH_BYTES:
            raise UnreadableModuleError(
                f"its saved_model.pb has {status.st_size:,} bytes of at most {MAX_GRAPH_BYTES:,}"
            )
        return content.read(MAX_GRAPH_BYTES + 1)


def parse_saved_model(data: bytes) -> Any:
    """A `SavedModel` message out of bytes that may come from anybody.

    Returns:
        The message, with at least one meta graph.
    """
    content = hashlib.sha256(data).digest()
    if content not in _affordable:
        check_cost(data, saved_model_pb2.SavedModel.DESCRIPTOR)
        _affordable.add(content)
    saved_model = saved_model_pb2.SavedModel()
    try:
        saved_model.ParseFromString(data)
    except message.DecodeError as error:
        raise UnreadableModuleError(f"it does not parse ({error})") from error
    # A file cut after its first field parses, and so does an empty one.
    if not saved_model.meta_graphs:
        raise UnreadableModuleError("it holds no graph")
    return saved_model


def check_cost(data: bytes, kind: Descriptor) -> int:
    """Adds up what reading a message takes, in bytes of memory, without reading it.

    Linear in the data, not recursive, and in constant memory.
    """
    limit = COST_FLOOR + COST_RATIO * len(data)
    fields, position, end = _fields(kind), 0, len(data)
    cost = 0
    outer: list[tuple[Any, int]] = []
    try:
        while True:
            while position >= end:
                if position > end:
                    raise UnreadableModuleError("its parts overlap: it is damaged or cut short")
                if not outer:
                    return cost
                fields, end = outer.pop()
            tag = data[position]
            position += 1
            if tag > 127:
                tag, position = _varint(data, position - 1)
            wire = tag & 7
            if wire == 2:
                size = data[position]
                position += 1
                if size > 127:
                    size, position = _varint(data, position - 1)
                inner = fields.get(tag >> 3, _TEXT)
                if inner is _TEXT:
                    cost += _ITEM_COST
                    position += size
                elif inner is _PACKED:
                    cost += _PACKED_COST * size
                    position += size
                else:
                    cost += _MESSAGE_COST
                    outer.append((fields, end))
                    if len(outer) > MAX_DEPTH:
                        raise UnreadableModuleError(f"it is nested deeper than {MAX_DEPTH} levels")
                    if position + size > end:
                        raise UnreadableModuleError("a part is longer than what it lies in")
                    fields, end = inner(), position + size
            elif wire == 0:
                cost += _PACKED_COST
                while data[position] > 127:
                    position += 1
                position += 1
            elif wire == 5:
                cost += _PACKED_COST
                position += 4
            elif wire == 1:
                cost += _PACKED_COST
                position += 8
            else:
                raise UnreadableModuleError("it holds what no protocol buffer of today holds")
            if cost > limit:
                raise UnreadableModuleError(
                    f"reading its {len(data):,} bytes would take more than {limit:,} bytes of "
                    "memory, as no module that TensorFlow wrote does"
                )
    except IndexError:
        raise UnreadableModuleError("it is cut short") from None


# Graphs that were walked through in this process; loading reads the same one several times.
_affordable: set[bytes] = set()
_TEXT = object()
_PACKED = object()


@cache
def _fields(kind: Descriptor) -> dict[int, Any]:
    """What the length-delimited fields of a message hold, by their numbers."""
    return {field.number: _content(field) for field in kind.fields}


def _content(field: FieldDescriptor) -> Any:
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        inner = field.message_type
        return lambda: _fields(inner)
    return _TEXT if field.type in _NOT_PACKED else _PACKED


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
        if shift > 63:
            raise UnreadableModuleError("a number in it has no end")
