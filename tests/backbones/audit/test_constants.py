"""Constants stay as small as what they come from."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.backbones.audit import audit_module
from tests.backbones.audit import forgery

INT32 = tf.int32.as_datatype_enum
FLOAT = tf.float32.as_datatype_enum


def constant(nodes, name, tensor, dtype=FLOAT):
    node = nodes.add(name=name, op="Const")
    node.attr["dtype"].type = dtype
    node.attr["value"].tensor.CopyFrom(tensor)
    return node


def repeated(shape, dtype=FLOAT):
    tensor = tf.make_tensor_proto(1, tf.dtypes.as_dtype(dtype), [])
    tensor.tensor_shape.CopyFrom(tf.TensorShape(shape).as_proto())
    return tensor


@pytest.mark.parametrize(
    ("shapes", "is_refused"),
    [([[1000, 1000]], False), ([[2**28]], True), ([[2**12, 2**12]] * 9, True), ([[-1]], True)],
)
def test_one_value_for_many_elements(tmp_path, shapes, is_refused):
    folder = forgery.whole_module(tmp_path / "module")

    def change(meta_graph):
        for place, shape in enumerate(shapes):
            constant(meta_graph.graph_def.node, f"c{place}", _with_shape(shape))

    forgery.edit(folder, change)
    assert bool(forgery.reasons(folder)) == is_refused


def _with_shape(shape):
    tensor = repeated([1])
    del tensor.tensor_shape.dim[:]
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    return tensor


def test_values_that_are_all_there(tmp_path):
    folder = forgery.whole_module(tmp_path / "module")
    values = tf.make_tensor_proto(np.zeros([3000, 3000], "float32"))
    forgery.edit(folder, lambda graph: constant(graph.graph_def.node, "c", values))
    assert audit_module(folder).unsafe == ()


def test_in_the_specification_of_an_argument(tmp_path):
    folder = forgery.whole_module(tmp_path / "module")

    def change(meta_graph):
        for function in meta_graph.object_graph_def.concrete_functions.values():
            spec = function.output_signature.bounded_tensor_spec_value
            spec.minimum.CopyFrom(repeated([2**28]))

    forgery.edit(folder, change)
    assert "becomes far larger than the file" in str(forgery.refused(folder))


def test_named_by_many_objects(tmp_path):
    module = tf.Module()
    module.scale = tf.constant(np.ones([2**16], "float32"))
    module.__call__ = tf.function(lambda x: x * module.scale[0], [forgery.VECTOR])
    folder = tmp_path / "module"
    tf.saved_model.save(module, str(folder))
    assert audit_module(folder).unsafe == ()

    def change(meta_graph):
        objects = meta_graph.object_graph_def.nodes
        one = next(each for each in objects if each.WhichOneof("kind") == "constant")
        for _ in range(5000):
            objects.add().CopyFrom(one)

    forgery.edit(folder, change)
    assert "name too often" in str(forgery.refused(folder))


def doubts(folder):
    report = audit_module(folder)
    assert report.unsafe == ()
    return "\n".join(map(str, report.doubtful))


def shaped_by(folder, sizes, plus=()):
    """A module that reshapes by the first number of a tensor made of constants."""
    module = tf.Module()
    module.__call__ = tf.function(
        lambda x: tf.reshape(x, tf.fill(tf.constant([2]), -1)[:1]), [forgery.VECTOR]
    )
    tf.saved_model.save(module, str(folder))

    def change(meta_graph):
        for function in meta_graph.graph_def.library.function:
            nodes = {node.name: node for node in function.node_def}
            for node in list(function.node_def):
                node.attr.pop("_output_shapes", None)
                if node.op == "Fill":
                    dims = nodes[node.input[0].partition(":")[0]].attr["value"].tensor
                    dims.CopyFrom(tf.make_tensor_proto(sizes, tf.int32))
                    for op in plus:
                        middle = function.node_def.add(name=f"m_{op}", op=op)
                        middle.input.append(node.input[0])
                        middle.attr["T"].type = INT32
                        node.input[0] = f"m_{op}:output:0"

    forgery.edit(folder, change)
    return folder


@pytest.mark.slow
def test_computed_while_the_graph_is_read(tmp_path):
    """The threat is real: TensorFlow evaluates the tensor at loading, to know a shape."""
    assert audit_module(shaped_by(tmp_path / "small", [3])).doubtful == ()
    large = shaped_by(tmp_path / "large", [30_000_000])
    found = doubts(large)
    assert "Reshape wants a large tensor of constants while the graph is read" in found
    code = (
        "import sys, tensorflow as tf\n"
        "def peak(): return int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
        "before = peak()\n"
        "tf.saved_model.load(sys.argv[1])\n"
        "print(peak() - before)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(large)], capture_output=True, text=True, check=True
    )
    assert int(ran.stdout) > 500_000  # kilobytes


def test_what_cannot_be_followed_counts_as_endless(tmp_path):
    folder = shaped_by(tmp_path / "module", [3], plus=["Invert"])
    assert "a large tensor of constants while the graph is read" in doubts(folder)


def of_a_graph(folder, call, change):
    """A module of `call`, whose nodes `change` gets by name, without their noted shapes."""
    module = tf.Module()
    module.__call__ = tf.function(call, [forgery.VECTOR])
    tf.saved_model.save(module, str(folder))
    assert audit_module(folder).doubtful == ()

    def edit(meta_graph):
        for function in meta_graph.graph_def.library.function:
            nodes = {node.name: node for node in function.node_def}
            for node in nodes.values():
                node.attr.pop("_output_shapes", None)
            if "shaped" in nodes:
                change(function, nodes)

    forgery.edit(folder, edit)
    return doubts(folder)


def test_shapes_are_constants_where_they_are_known(tmp_path):
    def call(x):
        known = tf.raw_ops.EnsureShape(input=tf.reshape(x, [-1]), shape=[7], name="known")
        sizes = tf.raw_ops.Shape(input=known)
        total = tf.reduce_sum(sizes, keepdims=True)
        return tf.raw_ops.Fill(dims=total, value=1.0, name="shaped")

    def change(function, nodes):
        # A tensor as large as the shape says, of which the sum is taken.
        nodes["known"].attr["shape"].shape.dim[0].size = 2**29
        total = next(node for node in nodes.values() if node.op == "Sum")
        fill = function.node_def.add(
            name="large", op="Fill", input=[total.input[0], "one:output:0"]
        )
        fill.attr["T"].type = INT32
        constant(function.node_def, "one", tf.make_tensor_proto(1), INT32)
        total.input[0] = "large:output:0"

    found = of_a_graph(tmp_path / "module", call, change)
    assert "Fill wants a large tensor of constants while the graph is read" in found


def test_shapes_that_double_on_their_way(tmp_path):
    def call(x):
        first = tf.raw_ops.Identity(input=tf.shape(x)[:1], name="first")
        twice = tf.raw_ops.ConcatV2(values=[first, first], axis=0, name="twice")
        once = tf.raw_ops.StridedSlice(input=twice, begin=[0], end=[1], strides=[1], name="once")
        return tf.raw_ops.Fill(dims=once, value=1.0, name="shaped")

    def change(function, nodes):
        last = "once"
        for level in range(40):
            twice, once = function.node_def.add(), function.node_def.add()
            twice.CopyFrom(nodes["twice"])
            once.CopyFrom(nodes["once"])
            twice.name, once.name = f"twice_{level}", f"once_{level}"
            twice.input[0] = twice.input[1] = f"{last}:output:0"
            once.input[0] = f"{twice.name}:output:0"
            last = once.name
        nodes["shaped"].input[0] = f"{last}:output:0"

    found = of_a_graph(tmp_path / "module", call, change)
    # By the ways through it, or by the elements on all of them.
    assert "while the graph is read" in found


def test_many_that_want_a_little(tmp_path):
    def call(x):
        table = tf.raw_ops.Fill(dims=[7], value=1, name="table")
        wanted = tf.reduce_max(table, keepdims=True)
        return tf.raw_ops.Fill(dims=wanted, value=1.0, name="shaped")

    def change(function, nodes):
        dims = nodes[nodes["table"].input[0].partition(":")[0]]
        dims.attr["value"].tensor.CopyFrom(tf.make_tensor_proto([2**19]))
        for place in range(200):
            again = function.node_def.add()
            again.CopyFrom(nodes["shaped"])
            again.name = f"again_{place}"

    found = of_a_graph(tmp_path / "module", call, change)
    assert "wants a large tensor of constants" in found


def test_dimensions_without_number(tmp_path):
    folder = forgery.whole_module(tmp_path / "module")
    forgery.edit(
        folder, lambda graph: constant(graph.graph_def.node, "c", _with_shape([2**62] * 300))
    )
    assert "holds a constant of unknown size" in str(forgery.refused(folder))
