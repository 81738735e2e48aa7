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


@pytest.mark.parametrize("is_long", [False, True])
def test_a_key_may_get_an_ending(tmp_path, is_long):
    """As where TensorFlow saves and restores a table."""
    module = tf.Module()
    module.counts = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, 0)
    module.__call__ = tf.function(module.counts.lookup, [tf.TensorSpec([None], tf.string)])
    folder = tmp_path / "module"
    tf.saved_model.save(module, str(folder))

    def change(meta_graph):
        for function in meta_graph.graph_def.library.function:
            added = {n.input[1].partition(":")[0] for n in function.node_def if n.op == "Add"}
            for node in function.node_def:
                if node.name in added and is_long:
                    node.attr["value"].tensor.string_val[0] = b"x" * 4000

    forgery.edit(folder, change)
    found = forgery.reasons(folder)
    assert any("Add runs while the module is loaded" in each for each in found) == is_long
    assert is_long or found == []


def test_constants_say_all_their_values(tmp_path):
    folder = forgery.whole_module(tmp_path / "module")

    def change(meta_graph):
        node = forgery.plant(meta_graph, "initializer")
        node.op = "Const"
        tensor = node.attr["value"].tensor
        tensor.dtype = node.attr["dtype"].type = tf.bool.as_datatype_enum
        tensor.tensor_shape.dim.add(size=2**20)
        tensor.bool_val.append(True)

    forgery.edit(folder, change)
    assert "Const makes much out of little while the module is loaded" in str(
        forgery.refused(folder)
    )


def graph_that_restores(folder, names):
    """A TF1 module, and a change of what it restores."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None])
        one = v1.get_variable("one", initializer=[1.0], use_resource=True)
        two = v1.get_variable("two", initializer=[2.0], use_resource=True)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(folder), {"x": x}, {"y": x * one + two})
    assert audit_module(folder).unsafe == ()

    def change(meta_graph):
        nodes = {node.name: node for node in meta_graph.graph_def.node}
        for node in meta_graph.graph_def.node:
            if node.op == "RestoreV2":
                tensor = nodes[node.input[1].partition(":")[0]].attr["value"].tensor
                del tensor.string_val[:]
                tensor.string_val.extend(names)

    forgery.edit(folder, change)
    return folder


def test_what_is_restored_is_named_once(tmp_path):
    folder = graph_that_restores(tmp_path / "twice", [b"one", b"one"])
    assert "RestoreV2 reads a checkpoint" not in str(forgery.refused(folder))
    assert "restores 'one' more than once" in str(forgery.refused(folder))
    folder = graph_that_restores(tmp_path / "splat", [b"one"])
    assert "restores what it does not name as a literal" in str(forgery.refused(folder))


def test_slices_of_a_variable():
    from keras_transgen.backbones.audit.savers import _part

    assert _part(b"") == 1.0
    assert _part(b"10 4 0,5:-") == 0.5
    assert _part(b"10 4 0,5:1,1") == 0.125
    assert _part(b"10 0,11") == _part(b"10 4 0,5") == _part(b"a 0,1") == _part(b"10 0,0") == 0.0


def test_an_assets_path_is_told_to_the_initializer_alone(tmp_path):
    """What restores the variables would read the path that stands in the graph: any file."""
    v1 = tf.compat.v1
    (tmp_path / "secret").write_text("a secret")
    folder = tmp_path / "module"
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None])
        text = v1.get_variable("text", initializer=tf.constant(""), use_resource=True)
        weight = v1.get_variable("weight", initializer=[1.0], use_resource=True)
        path = tf.constant(str(tmp_path / "secret"), name="path")
        put = text.assign(tf.raw_ops.ReadFile(filename=path), read_value=False)
        session.run([weight.initializer, text.initializer])
        builder = v1.saved_model.Builder(str(folder))
        signature = v1.saved_model.predict_signature_def(
            {"x": x}, {"y": x * weight, "text": tf.identity(text.read_value())}
        )
        builder.add_meta_graph_and_variables(
            session, ["serve"], {"serving_default": signature}, saver=v1.train.Saver([weight])
        )
        builder.save()

    def change(meta_graph):
        asset = meta_graph.asset_file_def.add(filename="vocabulary.txt")
        asset.tensor_info.name = "path:0"
        for node in meta_graph.graph_def.node:
            if node.name == meta_graph.saver_def.restore_op_name:
                node.input.append(f"^{put.name}")

    forgery.edit(folder, change)
    (folder / "assets").mkdir()
    (folder / "assets" / "vocabulary.txt").write_text("an asset")
    assert "reads a file that is no asset" in str(forgery.refused(folder))
    # The threat is real.
    loaded = tf.saved_model.load(str(folder))
    said = loaded.signatures["serving_default"](x=tf.constant([1.0]))["text"]
    assert said.numpy() == b"a secret"
