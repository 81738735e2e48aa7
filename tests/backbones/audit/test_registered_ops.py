"""Tells when TensorFlow no longer says what its ops are."""

import tensorflow as tf
from tensorflow.core.framework import node_def_pb2

from keras_transgen.backbones.audit.registered_ops import is_pure, is_registered, output_types


def test_what_is_known_of_ops():
    assert is_registered("AddV2")
    assert is_registered("WriteFile")
    assert is_registered("_Send")  # tf.raw_ops lacks it
    assert is_registered("TFText>WhitespaceTokenizeWithOffsetsV2")  # allowed, if not here
    assert not is_registered("__inference_call_12")
    assert is_pure("AddV2")
    assert not is_pure("RandomUniform")
    assert not is_pure("__inference_call_12")


def test_output_types():
    node = node_def_pb2.NodeDef(op="Cast")
    node.attr["DstT"].type = tf.int64.as_datatype_enum
    node.attr["SrcT"].type = tf.float32.as_datatype_enum
    assert output_types(node) == {tf.int64.as_datatype_enum}
    assert output_types(node_def_pb2.NodeDef(op="StringJoin")) == {tf.string.as_datatype_enum}
