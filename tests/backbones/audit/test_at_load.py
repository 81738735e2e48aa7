"""What runs at loading fills tables, ends, and stays small."""

import pytest
import tensorflow as tf

from keras_transgen.backbones.audit import audit_module
from tests.backbones.audit import forgery


@pytest.mark.parametrize("kind", ["two", "one"])
@pytest.mark.parametrize(
    "op", ["Fill", "While", "StatelessWhile", "Concat", "RandomUniform", "DecodePng", "Tile"]
)
def test_ops_that_have_no_business_there(tmp_path, kind, op):
    make = {"two": forgery.whole_module, "one": forgery.graph_module}[kind]
    folder = make(tmp_path / "module")

    def change(meta_graph):
        forgery.plant(meta_graph, "initializer").op = op

    forgery.edit(folder, change)
    assert f"{op} runs while the module is loaded" in str(forgery.refused(folder))


def test_the_same_ops_are_fine_when_the_module_is_called(tmp_path):
    folder = forgery.whole_module(tmp_path / "module")
    forgery.edit(folder, lambda graph: setattr(forgery.plant(graph, "function"), "op", "Tile"))
    assert audit_module(folder).unsafe == ()


def test_in_a_function_that_the_initializer_calls(tmp_path):
    folder = forgery.whole_module(tmp_path / "module")

    def change(meta_graph):
        library = meta_graph.graph_def.library
        for name, callee in (("last", None), ("middle", "last")):
            function = library.function.add()
            function.signature.name = name
            node = function.node_def.add(name="n", op="Fill" if callee is None else "If")
            if callee:
                node.attr["then_branch"].func.name = callee
        node = forgery.plant(meta_graph, "initializer")
        node.op = "middle"

    forgery.edit(folder, change)
    assert "Fill runs while the module is loaded" in str(forgery.refused(folder))


def test_in_a_function_that_restores_an_object(tmp_path):
    module = tf.Module()
    module.counts = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, 0)
    module.__call__ = tf.function(module.counts.lookup, [tf.TensorSpec([None], tf.string)])
    folder = tmp_path / "module"
    tf.saved_model.save(module, str(folder))
    assert audit_module(folder).unsafe == ()

    def change(meta_graph):
        for function in meta_graph.graph_def.library.function:
            if any(node.op == "LookupTableImportV2" for node in function.node_def):
                function.node_def.add(name="planted", op="Fill")

    forgery.edit(folder, change)
    assert "Fill runs while the module is loaded" in str(forgery.refused(folder))


def test_more_calls_than_ops(tmp_path):
    """Thirty functions of which each calls the next one twice run a billion ops."""
    folder = forgery.whole_module(tmp_path / "module")

    def change(meta_graph):
        library = meta_graph.graph_def.library
        for depth in range(30):
            function = library.function.add()
            function.signature.name = f"f{depth}"
            for place in range(2):
                op = f"f{depth + 1}" if depth < 29 else "NoOp"
                function.node_def.add(name=f"n{place}", op=op)
        forgery.plant(meta_graph, "initializer").op = "f0"

    forgery.edit(folder, change)
    text = str(forgery.refused(folder))
    assert "ops that run at loading" in text
    assert "runs more than 200,000 ops, each call counted" in text


def test_strings_do_not_double(tmp_path):
    folder = forgery.whole_module(tmp_path / "module")

    def change(meta_graph):
        node = forgery.plant(meta_graph, "initializer")
        node.op = "Add"
        node.input.extend(["a:output:0", "a:output:0"])

    forgery.edit(folder, change)
    assert "Add runs while the module is loaded" in str(forgery.refused(folder))
