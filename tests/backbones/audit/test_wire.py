"""Reading stays within bounds, whatever the bytes say."""

import os

import pytest
from tensorflow.core.protobuf import saved_model_pb2, trackable_object_graph_pb2

from keras_transgen.backbones.audit import audit_module, wire
from keras_transgen.backbones.audit.wire import (
    UnreadableModuleError,
    check_cost,
    parse_saved_model,
    read_graph_file,
)
from tests.backbones import tiny_modules

KIND = saved_model_pb2.SavedModel.DESCRIPTOR


def field(number, data):
    size, length = len(data), b""
    while True:
        length += bytes([(size & 127) | (128 if size > 127 else 0)])
        size >>= 7
        if not size:
            return bytes([number << 3 | 2]) + length + data


def nodes(data):
    """`data` as the graph of a SavedModel's one meta graph."""
    return field(2, field(2, data))


def test_the_cost_of_a_real_module(tmp_path):
    file = tiny_modules.convolution_module(tmp_path / "m") / "saved_model.pb"
    data = file.read_bytes()
    # Counted by walking through the parsed message, with protobuf's own reflection.
    expected, waiting = 0, [saved_model_pb2.SavedModel.FromString(data)]
    while waiting:
        for kind, value in waiting.pop().ListFields():
            if kind.type == kind.TYPE_MESSAGE:
                if kind.message_type.GetOptions().map_entry:
                    continue
                found = list(value) if kind.is_repeated else [value]
                expected += len(found) * wire._MESSAGE_COST
                waiting += found
    cost = check_cost(data, KIND)
    assert expected < cost < expected + 40 * len(data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(nodes(b"\x0a\x00" * 4_000_000), id="empty nodes"),
        pytest.param(nodes(field(1, field(5, b"\x12\x00" * 1_500_000))), id="empty attributes"),
        pytest.param(field(2, field(7, b"\x0a\x00" * 4_000_000)), id="empty objects"),
        pytest.param(b"\x12\x00" * 4_000_000, id="empty graphs"),
    ],
)
def test_much_out_of_little(data):
    with pytest.raises(UnreadableModuleError, match="would take more than"):
        parse_saved_model(data)


def deep(levels):
    data = b""
    for _ in range(levels):
        data = field(5, field(2, data))  # a composite tensor within one
    return field(2, field(5, field(2, field(1, field(2, data)))))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x12", "cut short"),
        (b"\x12\x05\x00", "longer than what it lies in"),
        (field(2, b"\x12\x7f"), "longer than what it lies in"),
        (b"\xff" * 20, "no end"),
        (b"\x0b", "no protocol buffer of today"),
        (deep(200), "nested deeper than 64"),
        (b"\x08\x01", "it holds no graph"),
        (b"", "it holds no graph"),
    ],
)
def test_damage(data, reason):
    with pytest.raises(UnreadableModuleError, match=reason):
        parse_saved_model(data)


def test_other_messages_are_bounded_too():
    kind = trackable_object_graph_pb2.TrackableObjectGraph.DESCRIPTOR
    with pytest.raises(UnreadableModuleError, match="would take more than"):
        check_cost(b"\x0a\x00" * 2_000_000, kind)


def test_a_pipe_is_no_module(tmp_path):
    os.mkfifo(tmp_path / "saved_model.pb")
    with pytest.raises(UnreadableModuleError, match="no regular file"):
        read_graph_file(tmp_path)
    with pytest.raises(ValueError, match="no regular file"):
        audit_module(tmp_path)
