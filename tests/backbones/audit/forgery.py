"""Real SavedModels, and changes to their bytes as an attacker could make them."""

from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_transgen.backbones.audit import UnsafeModuleError, audit_module

VECTOR = tf.TensorSpec([None, 3], tf.float32)


def edit(folder, change):
    """Applies `change` to the meta graph of a folder's SavedModel."""
    file = Path(folder) / "saved_model.pb"
    saved_model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    result = change(saved_model.meta_graphs[0])
    file.write_bytes(saved_model.SerializeToString())
    return result


def refused(folder):
    """The audit's error, after checking that it is one."""
    with pytest.raises(UnsafeModuleError) as caught:
        audit_module(folder)
    return caught.value


def reasons(folder):
    """What the audit has against a module."""
    return [str(found) for found in audit_module(folder, allow_unsafe_ops=True).unsafe]


def whole_module(folder):
    """A TF2 module with a table, a branch, a function in a function, and a gradient of its own."""
    module = tf.Module()
    module.weight = tf.Variable(tf.ones([3, 2]), name="dense/kernel")
    module.table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(tf.constant([1], tf.int64), tf.constant([2.0])), 0.0
    )

    @tf.custom_gradient
    def identity(x):
        return tf.identity(x), lambda upstream: 3.0 * upstream

    @tf.function
    def inner(x):
        return tf.cond(tf.reduce_sum(x) > 0, lambda: x * 2.0, lambda: x * 3.0)

    @tf.function(input_signature=[VECTOR])
    def call(x):
        scale = module.table.lookup(tf.constant([1], tf.int64))
        return identity(inner(x)) @ module.weight + scale

    module.__call__ = call
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=True)
    tf.saved_model.save(module, str(folder), options=options)
    return folder


def graph_module(folder):
    """A TF1 module with a table and a signature."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        keys = v1.placeholder(tf.int64, [None], "keys")
        table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(tf.constant([1], tf.int64), tf.constant([2.0])), 0.0
        )
        weight = v1.get_variable("weight", initializer=[1.0], use_resource=True)
        outputs = table.lookup(keys) * weight
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        v1.saved_model.simple_save(
            session, str(folder), {"keys": keys}, {"outputs": outputs}, v1.tables_initializer()
        )
    edit(folder, _add_functions)
    return folder


def _add_functions(meta_graph):
    library = meta_graph.graph_def.library
    for name, callee in (("inner", None), ("outer", "inner"), ("branch", None), ("slope", None)):
        function = library.function.add()
        function.signature.name = name
        if callee:
            _call(function.node_def, callee)
    _call(meta_graph.graph_def.node, "outer")
    node = meta_graph.graph_def.node.add(name="choice", op="StatelessIf")
    node.attr["then_branch"].func.name = node.attr["else_branch"].func.name = "branch"
    library.gradient.add(function_name="outer", gradient_func="slope")


def _call(nodes, callee):
    node = nodes.add(name=f"call_{callee}", op="PartitionedCall")
    node.attr["f"].func.name = callee


def _function(meta_graph, predicate):
    return next(f for f in meta_graph.graph_def.library.function if predicate(f))


def _runs(function, op):
    return any(node.op == op for node in function.node_def)


def plant(meta_graph, place):
    """A new node at a place of `whole_module` or `graph_module`."""
    is_graph = not meta_graph.object_graph_def.nodes
    nodes = meta_graph.graph_def.node
    if place == "graph":
        return nodes.add(name="planted")
    if place == "initializer" and is_graph:
        (main,) = meta_graph.collection_def["saved_model_main_op"].node_list.value
        start = next(node for node in nodes if node.name == main)
        start.input.append("^planted")
        return nodes.add(name="planted")
    wanted = {
        "function": (lambda f: f.signature.name == "outer")
        if is_graph
        else (lambda f: "__inference_call" in f.signature.name and _runs(f, "LookupTableFindV2")),
        "function of a function": lambda f: "inner" in f.signature.name,
        "branch": lambda f: f.signature.name.startswith(("cond_true", "branch")),
        "initializer": lambda f: _runs(f, "LookupTableImportV2"),
        "gradient": lambda f: f.signature.name in ("slope", *_gradients(meta_graph)),
    }
    return _function(meta_graph, wanted[place]).node_def.add(name="planted")


def _gradients(meta_graph):
    library = meta_graph.graph_def.library
    return [each.gradient_func for each in (*library.registered_gradients, *library.gradient)]


PLACES = (
    "graph",
    "function",
    "function of a function",
    "branch",
    "initializer",
    "gradient",
)
