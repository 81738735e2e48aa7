"""The names that a module's objects have, and what making them costs."""

import subprocess
import sys

import pytest
import tensorflow as tf

from keras_transgen.backbones.audit import audit_module
from tests.backbones.audit import forgery


def with_spare_function(folder):
    module = tf.Module()
    module.layers = [tf.Variable(1.0)]
    module.spare = tf.function(lambda: (tf.print("ran"), tf.constant(1.0))[1], [])
    module.__call__ = tf.function(lambda x: x * module.layers[0], [forgery.VECTOR])
    module._forward = tf.function(lambda x: 2.0 * x, [forgery.VECTOR])
    tf.saved_model.save(module, str(folder))
    return folder


def rename(folder, old, new):
    def change(meta_graph):
        for saved in meta_graph.object_graph_def.nodes:
            for child in saved.children:
                if child.local_name == old:
                    child.local_name = new

    forgery.edit(folder, change)


@pytest.fixture
def folder(tmp_path):
    return with_spare_function(tmp_path / "module")


def test_private_names_of_ones_own(folder):
    assert audit_module(folder).unsafe == ()


@pytest.mark.parametrize(
    "name",
    [
        "_gather_saveables_for_checkpoint",
        "_trackable_children",
        "_restore_from_tensors",
        "_serialize_to_tensors",
        "__class__",
        "__setattr__",
        "__anything__",
    ],
)
def test_names_of_tensorflows_own_methods(folder, name):
    rename(folder, "spare", name)
    assert f"has a child in the place of TensorFlow's own {name!r}" in str(forgery.refused(folder))


@pytest.mark.slow
def test_such_a_child_is_called_at_loading(folder):
    """The threat is real."""
    rename(folder, "spare", "_gather_saveables_for_checkpoint")
    code = "import sys, tensorflow as tf; tf.saved_model.load(sys.argv[1])"
    ran = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False
    )
    assert "ran" in ran.stderr.splitlines()


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("300000000", "more gaps than objects"),
        ("300_000_000", "a list with an item at"),
        (" 5", "a list with an item at"),
        ("+400000000", "a list with an item at"),
        ("٣٠", "a list with an item at"),
    ],
)
def test_lists_with_gaps(folder, place, reason):
    rename(folder, "0", place)
    assert reason in str(forgery.refused(folder))


@pytest.mark.parametrize("field", ["registered_name", "registered_saver"])
def test_what_others_registered(folder, field):
    def change(meta_graph):
        setattr(meta_graph.object_graph_def.nodes[0], field, "Custom.Thing")

    forgery.edit(folder, change)
    assert "that somebody registered ('Custom.Thing')" in str(forgery.refused(folder))


def test_an_optimizers_state(folder):
    def change(meta_graph):
        objects = meta_graph.object_graph_def.nodes
        variable = next(
            place for place, each in enumerate(objects) if each.WhichOneof("kind") == "variable"
        )
        objects[variable].variable.shape.dim.add(size=2**32)
        objects[0].slot_variables.add(original_variable_node_id=variable)

    forgery.edit(folder, change)
    assert "optimizer's state that takes more memory" in str(forgery.refused(folder))


def first_call(meta_graph):
    objects = meta_graph.object_graph_def.nodes
    return next(c.node_id for c in objects[0].children if c.local_name == "__call__")


@pytest.mark.parametrize("kind", ["variable", "constant", "list"])
def test_a_call_of_an_object_that_has_no_class_of_its_own(tmp_path, kind):
    """TensorFlow sets `__call__` on the class: on that of all variables of the process."""
    module = tf.Module()
    module.scale, module.layers = tf.constant([2.0, 3.0, 4.0]), [tf.Variable(1.0)]
    module.__call__ = tf.function(lambda x: x * module.scale * module.layers[0], [forgery.VECTOR])
    folder = tmp_path / "module"
    tf.saved_model.save(module, str(folder))
    assert audit_module(folder).unsafe == ()

    def change(meta_graph):
        for saved in meta_graph.object_graph_def.nodes:
            is_list = saved.user_object.identifier == "trackable_list_wrapper"
            if saved.WhichOneof("kind") == kind or (kind == "list" and is_list):
                saved.children.add(local_name="__call__", node_id=first_call(meta_graph))

    forgery.edit(folder, change)
    assert "has a child '__call__', as no" in str(forgery.refused(folder))


def test_numbers_in_the_kind_of_an_argument(tmp_path):
    module = tf.Module()
    spec = tf.RaggedTensorSpec([None, None], tf.float32)
    module.__call__ = tf.function(lambda x: x.to_tensor(), [spec])
    folder = tmp_path / "module"
    tf.saved_model.save(module, str(folder))
    assert audit_module(folder).unsafe == ()

    def change(meta_graph):
        def raise_rank(value):
            kind = value.WhichOneof("kind")
            if kind in ("list_value", "tuple_value"):
                for each in getattr(value, kind).values:
                    raise_rank(each)
            elif kind == "type_spec_value":
                raise_rank(value.type_spec_value.type_state)
            elif kind == "int64_value":
                value.int64_value = 10**8

        for function in meta_graph.object_graph_def.concrete_functions.values():
            raise_rank(function.canonicalized_input_signature)

    forgery.edit(folder, change)
    assert "says the number 100,000,000" in str(forgery.refused(folder))


def test_objects_far_from_the_root(folder):
    def change(meta_graph):
        objects = meta_graph.object_graph_def.nodes
        last = objects[0]
        for _ in range(300):
            child = objects.add()
            child.user_object.identifier = "_generic_user_object"
            last.children.add(local_name="inner", node_id=len(objects) - 1)
            last = child

    forgery.edit(folder, change)
    assert "lies more than 200 levels deep" in str(forgery.refused(folder))
