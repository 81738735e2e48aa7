"""Arrays of strangers."""

import io
import json
import zipfile

import numpy as np
import pytest

from keras_transgen.backbones.array_archive import read_arrays


def entry(array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def header(said: str) -> bytes:
    text = said.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def written(path, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back(save, tmp_path):
    arrays = {
        "numbers": np.arange(6.0).reshape(2, 3),
        "columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "number": np.float32(3.5),
        "nothing": np.zeros((0, 4)),
        "words": np.array(["one", "three"]),
    }
    save(tmp_path / "a.npz", **arrays)
    found = read_arrays(tmp_path / "a.npz", 10**6)
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    found["numbers"][0] = 1.0


def test_what_unpacks_to_much(tmp_path):
    members = {"a.npy": entry(np.zeros(2**25, "uint8"))}
    path = written(tmp_path / "a.npz", members, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**16
    with pytest.raises(ValueError, match="decompression bomb"):
        read_arrays(path, 2**30)
    path = written(tmp_path / "b.npz", members)
    with pytest.raises(ValueError, match="raise max_bytes"):
        read_arrays(path, 2**25)
    assert read_arrays(path, 2**25 + 128)["a"].nbytes == 2**25


@pytest.mark.parametrize(
    "content",
    [
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}") + bytes(8),
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -2)}") + bytes(8),
        header("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}") + bytes(8),
        header("{'descr': '<U99999999999', 'fortran_order': False, 'shape': (1,)}") + bytes(8),
        header("(" * 9000),
        header("__import__('os').system('true')"),
        header(json.dumps([1])),
        b"\x93NUMPY\x09\x00" + bytes(100),
        b"no array",
        b"",
        entry(np.arange(4)) + b"more",
        entry(np.arange(4))[:-3],
    ],
)
def test_members_that_are_no_arrays(content, tmp_path):
    with pytest.raises(ValueError):
        read_arrays(written(tmp_path / "a.npz", {"a.npy": content}), 10**9)


def test_objects_are_never_unpickled(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="array of numbers is expected"):
        read_arrays(tmp_path / "a.npz", 10**6)
