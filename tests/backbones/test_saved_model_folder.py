import contextlib
import shutil
from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from keras_transgen.backbones.saved_model_folder import (
    BrokenModuleError,
    check_saved_model_folder,
)
from tests.backbones.hub_server import save_tiny_module


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save_tiny_module(tmp_path_factory.mktemp("saved") / "tiny")


@pytest.fixture
def module(saved, tmp_path):
    """A copy of the tiny module that a test may damage."""
    return Path(shutil.copytree(saved, tmp_path / "tiny"))


def test_a_whole_module_passes(module):
    check_saved_model_folder(module)


@pytest.mark.shared_data
def test_real_modules_pass(shared_folder):
    for folder in (shared_folder / "hub").iterdir():
        check_saved_model_folder(folder)


def test_a_module_without_variables_in_the_old_format_passes(tmp_path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.constant(1.0)
        builder = tf.compat.v1.saved_model.Builder(str(tmp_path / "old"))
        builder.add_meta_graph_and_variables(session, ["serve"])
        builder.save()
    assert not list((tmp_path / "old").rglob("variables.index"))
    (tmp_path / "old" / "variables").rmdir()
    check_saved_model_folder(tmp_path / "old")


def test_every_cut_of_the_graph_is_noticed(module):
    graph = (module / "saved_model.pb").read_bytes()
    for cut in [*range(20), *range(20, len(graph), len(graph) // 50), len(graph) - 1]:
        (module / "saved_model.pb").write_bytes(graph[:cut])
        with pytest.raises(BrokenModuleError, match=r"saved_model\.pb"):
            check_saved_model_folder(module)


@pytest.mark.parametrize("name", ["variables.index", "variables.data-00000-of-00001"])
def test_a_missing_or_cut_file_of_the_variables_is_noticed(module, name):
    file = module / "variables" / name
    content = file.read_bytes()
    for cut in (0, 1, len(content) // 2, len(content) * 3 // 4):
        file.write_bytes(content[:cut])
        with pytest.raises(BrokenModuleError, match="variables"):
            check_saved_model_folder(module)
    file.unlink()
    with pytest.raises(BrokenModuleError, match=r"variables"):
        check_saved_model_folder(module)


def test_a_missing_shard_is_named(module):
    shard = module / "variables" / "variables.data-00000-of-00001"
    shard.rename(module / "variables" / "variables.data-00001-of-00003")
    with pytest.raises(BrokenModuleError) as error:
        check_saved_model_folder(module)
    assert "variables.data-00000-of-00003, variables.data-00002-of-00003" in str(error.value)


def test_shards_of_two_saves_are_noticed(module):
    (module / "variables" / "variables.data-00000-of-00002").write_bytes(b"")
    with pytest.raises(BrokenModuleError, match="several saves"):
        check_saved_model_folder(module)


def test_missing_variables_are_noticed(module):
    shutil.rmtree(module / "variables")
    with pytest.raises(BrokenModuleError, match=r"variables\.index"):
        check_saved_model_folder(module)


def test_other_folders_are_named_for_what_they_are(tmp_path):
    with pytest.raises(BrokenModuleError, match="holds nothing"):
        check_saved_model_folder(tmp_path)
    (tmp_path / "model.weights.h5").write_bytes(b"")
    with pytest.raises(BrokenModuleError, match="unpacked Keras model"):
        check_saved_model_folder(tmp_path)


def rewritten(folder, change):
    """A module whose checkpoint has another graph of objects, and the same tensors."""
    key, prefix = "_CHECKPOINTABLE_OBJECT_GRAPH", str(folder / "variables" / "variables")
    reader = tf.train.load_checkpoint(prefix)
    tensors = {each: reader.get_tensor(each) for each in reader.get_variable_to_shape_map()}
    graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(tensors[key])
    change(graph)
    tensors[key] = graph.SerializeToString()
    shutil.rmtree(folder / "variables")
    (folder / "variables").mkdir()
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=[tf.constant(each) for each in tensors.values()],
    )
    return folder


def test_values_that_are_given_a_thousand_times(tmp_path):
    module = tf.Module()
    module.large = tf.Variable(tf.zeros([50_000]))
    module.__call__ = tf.function(lambda x: x * module.large[0], [tf.TensorSpec([None])])
    tf.saved_model.save(module, str(tmp_path / "module"))
    folder = rewritten(tmp_path / "module", lambda graph: None)
    check_saved_model_folder(folder)

    def change(graph):
        one = next(node for node in graph.nodes if node.attributes)
        for _ in range(1000):
            graph.nodes.add().CopyFrom(one)

    with pytest.raises(BrokenModuleError, match="given the same values too often"):
        check_saved_model_folder(rewritten(folder, change))


def test_savers_that_others_registered(module):
    def change(graph):
        graph.nodes[0].registered_saver.name = "Custom.Saver"

    with pytest.raises(BrokenModuleError, match="code that somebody registered"):
        check_saved_model_folder(rewritten(module, change))


def test_an_endless_graph_of_objects(module):
    def change(graph):
        graph.nodes.extend(
            trackable_object_graph_pb2.TrackableObjectGraph.TrackableObject()
            for _ in range(1_000_000)
        )

    with pytest.raises(BrokenModuleError, match="would take more than"):
        check_saved_model_folder(rewritten(module, change))


def test_every_changed_byte_of_the_variables_has_one_kind_of_error(module):
    for name in ("variables.index", "variables.data-00000-of-00001"):
        file = module / "variables" / name
        content = file.read_bytes()
        for place in range(0, len(content), max(1, len(content) // 60)):
            changed = bytearray(content)
            changed[place] ^= 0xFF
            file.write_bytes(changed)
            # Numbers may change unseen; what cannot be read is said so.
            with contextlib.suppress(BrokenModuleError):
                check_saved_model_folder(module)
        file.write_bytes(content)
    check_saved_model_folder(module)
