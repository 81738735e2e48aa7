"""Weight files that say more than they hold."""

import json

import h5py
import keras
import numpy as np
import pytest

from keras_transgen.training.weight_file import WeightFileError, check_weight_file, check_weights_at


def checked(path):
    return check_weight_file(path, path.name, path.stat().st_size)


def test_files_of_keras_are_weights(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    model.fit(np.ones((2, 3)), np.ones((2, 2)), verbose=0)
    model.save_weights(tmp_path / "whole.weights.h5")
    # Two weights with two moments each, and the groups they lie in.
    assert checked(tmp_path / "whole.weights.h5") >= 6
    model.save_weights(tmp_path / "parts.weights.json", max_shard_size=1e-6)
    check_weights_at(tmp_path / "parts.weights.json")
    model.load_weights(tmp_path / "parts.weights.json")


def test_a_data_set_that_is_larger_than_its_file(tmp_path):
    path = tmp_path / "bomb.h5"
    with h5py.File(path, "w") as opened:
        opened.create_dataset("vars/0", (2**33,), "float32", chunks=(2**20,), compression="gzip")
    assert path.stat().st_size < 10_000
    with pytest.raises(WeightFileError, match="four times at most"):
        checked(path)


def test_many_names_of_one_data_set_count_each(tmp_path):
    path = tmp_path / "names.h5"
    with h5py.File(path, "w") as opened:
        opened["0"] = np.zeros(2**20, "uint8")
        for number in range(1, 40):
            opened[str(number)] = opened["0"]
    with pytest.raises(WeightFileError, match="four times at most"):
        checked(path)


def test_groups_within_themselves(tmp_path):
    path = tmp_path / "round.h5"
    with h5py.File(path, "w") as opened:
        inner = opened.create_group("a/b")
        inner["c"] = opened["a"]
    with pytest.raises(WeightFileError, match="none in itself"):
        checked(path)


def test_groups_in_groups_without_end(tmp_path):
    path = tmp_path / "deep.h5"
    with h5py.File(path, "w") as opened:
        opened.create_group("/".join("a" * 300))
    with pytest.raises(WeightFileError, match="200 at most"):
        checked(path)


def test_what_is_no_number(tmp_path):
    path = tmp_path / "words.h5"
    with h5py.File(path, "w") as opened:
        opened.create_dataset("vars/0", data=["a", "b"], dtype=h5py.string_dtype())
    with pytest.raises(WeightFileError, match="holds numbers"):
        checked(path)


TEXT = h5py.string_dtype()


@pytest.mark.parametrize(
    "dtype",
    [
        np.dtype([("a", TEXT)]),
        np.dtype([("a", "f4"), ("b", "f4")]),
        np.dtype(("f4", (3,))),
        h5py.vlen_dtype("f4"),
        h5py.ref_dtype,
        np.dtype("V3"),
        np.dtype("S4"),
    ],
    ids=str,
)
def test_types_that_are_made_of_others(dtype, tmp_path):
    with h5py.File(tmp_path / "values.h5", "w") as opened:
        opened.create_dataset("vars/0", (2,), dtype)
    with pytest.raises(WeightFileError, match="holds numbers"):
        checked(tmp_path / "values.h5")
    if dtype == np.dtype("S4"):
        return
    with h5py.File(tmp_path / "said.h5", "w") as opened:
        kind = h5py.h5t.py_create(np.dtype(dtype), logical=True)
        two = h5py.h5s.create_simple((2,))
        h5py.h5a.create(opened.create_group("vars").id, b"name", kind, two)
    with pytest.raises(WeightFileError, match="numbers and names"):
        checked(tmp_path / "said.h5")


def test_a_type_by_itself_and_many_texts(tmp_path):
    with h5py.File(tmp_path / "type.h5", "w") as opened:
        opened["vars"] = np.dtype("f4")
    with pytest.raises(WeightFileError, match="groups and numbers"):
        checked(tmp_path / "type.h5")
    with h5py.File(tmp_path / "texts.h5", "w") as opened:
        opened.attrs["names"] = ["a", "b"]
    with pytest.raises(WeightFileError, match="numbers and names"):
        checked(tmp_path / "texts.h5")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "bool", "complex64"])
def test_what_keras_writes_of_each_type(dtype, tmp_path):
    class Held(keras.layers.Layer):
        def build(self, shape):
            self.value = self.add_weight(shape=(2,), dtype=dtype, initializer="zeros")

        def call(self, x):
            return x

    model = keras.Sequential([keras.Input((3,)), Held()])
    model.save_weights(tmp_path / "held.weights.h5")
    # "layers", the layer, its "vars" and the value; Keras adds an empty "vars" for the model.
    assert checked(tmp_path / "held.weights.h5") >= 4


def test_what_is_no_hdf5(tmp_path):
    path = tmp_path / "text.h5"
    path.write_text("no weights")
    with pytest.raises(WeightFileError, match="no whole HDF5 file"):
        checked(path)


@pytest.mark.parametrize(
    "said", ["[1]", "{}", '{"weight_map": {"a": ["../other.weights.h5"]}}', "["]
)
def test_shards_lie_beside_their_list(said, tmp_path):
    path = tmp_path / "parts.weights.json"
    path.write_text(said)
    with pytest.raises(WeightFileError, match="lie beside it"):
        check_weights_at(path)


@pytest.mark.parametrize("name", ["other.bin", "other.h5", "other"])
def test_shards_are_looked_at_whatever_their_name(name, tmp_path):
    path = sharded(tmp_path, name)
    with h5py.File(tmp_path / name, "w") as opened:
        opened.create_dataset("vars/0", (2**33,), "float32", chunks=(2**20,), compression="gzip")
    with pytest.raises(WeightFileError, match="four times at most"):
        check_weights_at(path)


def test_shards_are_plain_files(tmp_path):
    path = sharded(tmp_path, "other.weights.h5")
    with pytest.raises(WeightFileError, match="lie beside it"):
        check_weights_at(path)
    (tmp_path / "other.weights.h5").symlink_to(tmp_path / "parts_00000.weights.h5")
    with pytest.raises(WeightFileError, match="no plain file"):
        check_weights_at(path)


def sharded(folder, name):
    """A list of a shard, beside the one that Keras opens before it reads the list."""
    h5py.File(folder / "parts_00000.weights.h5", "w").close()
    (folder / "parts.weights.json").write_text(json.dumps({"weight_map": {"/vars": name}}))
    return folder / "parts.weights.json"


def test_the_first_shard_is_looked_at_though_it_is_not_listed(tmp_path):
    path = sharded(tmp_path, "parts_00000.weights.h5")
    path.write_text(json.dumps({"weight_map": {}}))
    with h5py.File(tmp_path / "parts_00000.weights.h5", "w") as opened:
        opened["0"] = h5py.SoftLink("/")
    with pytest.raises(WeightFileError, match="SoftLink"):
        check_weights_at(path)


def test_kinds_of_files_that_nobody_looks_at(tmp_path):
    for name in ("weights.bin", "weights.npz", "weights.keras"):
        (tmp_path / name).write_bytes(b"no weights")
        with pytest.raises(WeightFileError, match=r"name ends in|no \.keras archive"):
            check_weights_at(tmp_path / name)


def test_shards_are_looked_at(tmp_path):
    path = tmp_path / "parts.weights.json"
    path.write_text(json.dumps({"weight_map": {"/vars": ["parts.weights.h5"]}}))
    h5py.File(tmp_path / "parts_00000.weights.h5", "w").close()
    with h5py.File(tmp_path / "parts.weights.h5", "w") as opened:
        opened["0"] = h5py.ExternalLink("elsewhere.h5", "values")
    with pytest.raises(WeightFileError, match="ExternalLink"):
        check_weights_at(path)
