"""A name means one thing, to the audit as to TensorFlow."""

import pytest
import tensorflow as tf

from tests.backbones.audit import forgery

TEXT = tf.string.as_datatype_enum


@pytest.fixture
def folder(tmp_path):
    return forgery.whole_module(tmp_path / "module")


@pytest.mark.parametrize("name", ["PartitionedCall", "ReadFile", "Identity", "WriteFile", "_Send"])
def test_functions_named_like_ops(folder, name):
    forgery.edit(
        folder,
        lambda graph: setattr(graph.graph_def.library.function.add().signature, "name", name),
    )
    assert "a function bears the name of an op" in str(forgery.refused(folder))


def test_functions_that_leave_things_open(folder):
    def change(meta_graph):
        functions = meta_graph.graph_def.library.function
        attributes, lists, numbers, types = (functions.add() for _ in range(4))
        attributes.signature.name = "attributes"
        attributes.signature.attr.add(name="where", type="string")
        lists.signature.name = "lists"
        lists.signature.input_arg.add(name="all", type_list_attr="T")
        numbers.signature.name = "numbers"
        numbers.signature.input_arg.add(name="all", number_attr="N", type=TEXT)
        types.signature.name = "types"
        types.signature.input_arg.add(name="all", type_attr="T")

    forgery.edit(folder, change)
    text = str(forgery.refused(folder))
    assert "leaves attributes to whoever calls it (function attributes" in text
    for name in ("lists", "numbers", "types"):
        assert f"takes arguments that depend on who calls it (function {name}" in text


def test_a_list_argument_cannot_move_a_path_to_another_place(tmp_path):
    """The reader gets its node's third input, where a map by place would see the second."""
    (tmp_path / "label.txt").write_text("ant")
    module = tf.Module()
    module.asset = tf.saved_model.Asset(str(tmp_path / "label.txt"))
    module.__call__ = tf.function(
        lambda x: (x, tf.io.read_file(module.asset.asset_path))[0], [forgery.VECTOR]
    )
    tf.saved_model.save(module, str(tmp_path / "module"))

    def change(meta_graph):
        library = meta_graph.graph_def.library
        reader = library.function.add()
        reader.signature.name = "reader"
        reader.signature.input_arg.add(name="others", type_list_attr="T")
        reader.signature.input_arg.add(name="path", type=TEXT)
        reader.node_def.add(name="read", op="ReadFile", input=["path"])

    forgery.edit(tmp_path / "module", change)
    assert "takes arguments that depend on who calls it" in str(
        forgery.refused(tmp_path / "module")
    )


def test_one_name_for_an_argument_and_a_node(folder):
    def change(meta_graph):
        function = meta_graph.graph_def.library.function.add()
        function.signature.name = "double"
        function.signature.input_arg.add(name="path", type=TEXT)
        function.node_def.add(name="path", op="NoOp")

    forgery.edit(folder, change)
    assert "has one name for two things (function double" in str(forgery.refused(folder))


def test_control_inputs_come_last(folder):
    def change(meta_graph):
        node = forgery.plant(meta_graph, "graph")
        node.op = "Identity"
        node.input.extend(["^b", "a"])

    forgery.edit(folder, change)
    assert "lists what must run before it ahead of its inputs" in str(forgery.refused(folder))


def test_more_bound_than_taken(folder):
    def change(meta_graph):
        functions = meta_graph.object_graph_def.concrete_functions
        next(iter(functions.values())).bound_inputs.extend([0] * 50)

    forgery.edit(folder, change)
    assert "is bound to more than it takes" in str(forgery.refused(folder))


def test_node_names_of_other_alphabets(folder):
    def change(meta_graph):
        node = forgery.plant(meta_graph, "graph")
        node.op, node.name = "NoOp", "\x1b[2J"

    forgery.edit(folder, change)
    text = str(forgery.refused(folder))
    assert "has a name that TensorFlow gives no node" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("place", ["collection", "function"])
def test_names_that_would_act_on_a_terminal(folder, place):
    """TensorFlow prints and logs them as they are."""

    def change(meta_graph):
        if place == "collection":
            meta_graph.collection_def["\x1b[2J"].node_list.value.append("x")
        else:
            meta_graph.graph_def.library.function.add().signature.name = "\x1b[2J"

    forgery.edit(folder, change)
    text = str(forgery.refused(folder))
    assert f"a {place} has a name that cannot be shown" in text
    assert "\x1b" not in text
