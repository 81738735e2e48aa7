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
