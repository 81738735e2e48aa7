"""Every op that is harmless only with some attributes, at every place, said and left open."""

import shutil

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from keras_transgen.backbones.audit.attributes import CONDITIONS
from tests.backbones.audit import forgery

BAD_RUNTIME = config_pb2.ConfigProto(
    cluster_def={"job": [{"name": "w", "tasks": {0: "example.com:1"}}]}
).SerializeToString()
VARIANT, FLOAT = tf.variant.as_datatype_enum, tf.float32.as_datatype_enum

#: A harmless and a harmful value of each attribute that is judged.
VALUES = {
    ("PrintV2", "output_stream"): (b"stderr", b"file:///tmp/x"),
    ("FixedUnigramCandidateSampler", "vocab_file"): (b"", b"/etc/passwd"),
    ("DecodeProtoV2", "descriptor_source"): (b"local://", b"/etc/passwd"),
    ("DecodeProtoV2", "output_types"): ([FLOAT], [FLOAT, VARIANT]),
    ("EncodeProto", "descriptor_source"): (b"bytes://abc", b"/etc/passwd"),
    ("ParseTensor", "out_type"): (FLOAT, VARIANT),
    **{
        (op, attribute): values
        for op in (
            "AnonymousMutableDenseHashTable",
            "MutableDenseHashTable",
            "MutableDenseHashTableV2",
        )
        for attribute, values in (
            ("initial_num_buckets", (131072, 2**28)),
            ("value_shape", (tf.TensorShape([3]), tf.TensorShape([2**20]))),
        )
    },
    **{
        (op, attribute): (b"", bad)
        for op in ("PartitionedCall", "StatefulPartitionedCall")
        for attribute, bad in (
            ("config", b"x"),
            ("config_proto", BAD_RUNTIME),
            ("executor_type", b"SINGLE_THREADED_EXECUTOR"),
        )
    },
}


def test_every_condition_has_values():
    judged = {(op, each) for op, attributes in CONDITIONS.items() for each in attributes}
    assert judged == set(VALUES)


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    folder = tmp_path_factory.mktemp("modules")
    made = {
        "TF2": forgery.whole_module(folder / "two"),
        "TF1": forgery.graph_module(folder / "one"),
    }
    for each in made.values():
        assert forgery.reasons(each) == []
    return made


def say(node, op, attribute, value):
    node.op = op
    # What a call needs besides the attribute in question.
    if "Call" in op and "f" not in node.attr:
        node.attr["f"].func.name = value["callee"]
    said = node.attr[attribute]
    literal = value["value"]
    if literal is None:
        said.placeholder = "open"
    elif isinstance(literal, bytes):
        said.s = literal
    elif isinstance(literal, tf.TensorShape):
        said.shape.CopyFrom(literal.as_proto())
    elif attribute == "initial_num_buckets":
        said.i = literal
    elif isinstance(literal, list):
        said.list.type.extend(literal)
    else:
        said.type = literal


@pytest.mark.parametrize("kind", ["TF2", "TF1"])
@pytest.mark.parametrize("place", forgery.PLACES)
def test_conditional_ops(modules, tmp_path, kind, place):
    for count, ((op, attribute), (harmless, harmful)) in enumerate(VALUES.items()):
        for word, literal in (("fine", harmless), ("bad", harmful), ("open", None)):
            folder = tmp_path / f"{count}_{word}"
            shutil.copytree(modules[kind], folder)

            def change(meta_graph, op=op, attribute=attribute, literal=literal):
                leaf = meta_graph.graph_def.library.function.add()
                leaf.signature.name = "leaf"
                node = forgery.plant(meta_graph, place)
                say(node, op, attribute, {"value": literal, "callee": "leaf"})

            forgery.edit(folder, change)
            found = forgery.reasons(folder)
            case = f"{op}.{attribute} {word} in the {kind} {place}: {found}"
            if word == "fine":
                # Only tables are filled at loading, so there even a harmless one is refused.
                runs = "Call" in op or "Table" in op or place != "initializer"
                assert (not found) == runs, case
                continue
            assert any(op in each for each in found), case
            if word == "open":
                assert any("leaves an attribute to whoever calls it" in each for each in found)


def test_a_placeholder_that_writes_while_it_is_loaded(tmp_path):
    """The threat is real: TensorFlow binds the attribute where the function is called."""
    target = tmp_path / "written"
    folder = forgery.whole_module(tmp_path / "module")

    def change(meta_graph):
        library = meta_graph.graph_def.library
        speaker = library.function.add()
        speaker.signature.name, speaker.signature.is_stateful = "speaker", True
        speaker.signature.attr.add(name="where", type="string")
        for arguments in (speaker.signature.input_arg, speaker.signature.output_arg):
            arguments.add(name="x", type=FLOAT)
        text = speaker.node_def.add(name="text", op="Const")
        text.attr["dtype"].type = tf.string.as_datatype_enum
        text.attr["value"].tensor.CopyFrom(tf.make_tensor_proto("said"))
        speak = speaker.node_def.add(name="speak", op="PrintV2", input=["text:output:0"])
        speak.attr["output_stream"].placeholder = "where"
        speak.attr["end"].s = b"\n"
        passed = speaker.node_def.add(name="passed", op="Identity", input=["x", "^speak"])
        passed.attr["T"].type = FLOAT
        speaker.ret["x"] = "passed:output:0"
        for function in library.function:
            for node in list(function.node_def):
                if node.op == "LookupTableImportV2":
                    call = function.node_def.add(name="c", op="speaker", input=[node.input[2]])
                    call.attr["where"].s = f"file://{target}".encode()
                    node.input[2] = "c:x:0"

    forgery.edit(folder, change)
    assert "does not say where it prints to as a literal" in str(forgery.refused(folder))
    assert not target.exists()
    tf.saved_model.load(str(folder))
    assert target.read_text() == "said\n"


def test_functions_in_attributes(tmp_path):
    def nested(node):
        node.attr["f"].func.name = "leaf"
        node.attr["f"].func.attr["g"].func.name = "leaf"

    def listed(node):
        node.attr["f"].func.name = "leaf"
        node.attr["f"].func.attr["g"].list.func.add(name="leaf")

    def bound(node):
        node.attr["f"].func.name = "leaf"
        node.attr["f"].func.attr["g"].placeholder = "open"

    def missing(node):
        node.attr["f"].func.name = "AddV2"

    for number, (wrong, reason) in enumerate(
        (
            (nested, "hides a function within a function's attributes"),
            (listed, "hides a function within a function's attributes"),
            (bound, "leaves an attribute to whoever calls it"),
            (missing, "names a function that the module does not have"),
        )
    ):
        folder = forgery.whole_module(tmp_path / str(number))

        def change(meta_graph, wrong=wrong):
            meta_graph.graph_def.library.function.add().signature.name = "leaf"
            node = forgery.plant(meta_graph, "function")
            node.op = "PartitionedCall"
            wrong(node)

        forgery.edit(folder, change)
        assert reason in str(forgery.refused(folder))
