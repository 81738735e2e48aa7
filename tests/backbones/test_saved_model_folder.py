import shutil
from pathlib import Path

import pytest
import tensorflow as tf

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
