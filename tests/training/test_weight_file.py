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


def test_shards_are_looked_at(tmp_path):
    path = tmp_path / "parts.weights.json"
    path.write_text(json.dumps({"weight_map": {"/vars": ["parts.weights.h5"]}}))
    with h5py.File(tmp_path / "parts.weights.h5", "w") as opened:
        opened["0"] = h5py.ExternalLink("elsewhere.h5", "values")
    with pytest.raises(WeightFileError, match="ExternalLink"):
        check_weights_at(path)
