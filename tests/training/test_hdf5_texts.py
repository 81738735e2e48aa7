"""What texts in an HDF5 file take, held against h5py, which reads them."""

import struct

import h5py
import numpy as np
import pytest

from keras_transgen.training import hdf5_texts
from keras_transgen.training.hdf5_texts import bytes_of_texts


def read(path):
    """The lengths of all texts, by reading them."""
    total = 0
    with h5py.File(path) as file:
        groups = [file, *(file[name] for name in file)]
        for found in groups:
            for value in found.attrs.values():
                texts = np.atleast_1d(np.asarray(value, object)).ravel()
                total += sum(len(each) for each in texts if isinstance(each, (str, bytes)))
    return total


@pytest.fixture
def path(tmp_path):
    draw = np.random.default_rng(0)
    with h5py.File(tmp_path / "texts.h5", "w") as file:
        file.attrs["model_config"] = "x" * 70_000
        file.attrs["names"] = [b"a" * int(each) for each in draw.integers(1, 90, 600)]
        for number in range(4):
            group = file.create_group(f"layer_{number}")
            group.attrs["weight_names"] = [f"layer_{number}/kernel:0", f"layer_{number}/bias:0"]
            file[f"values_{number}"] = draw.normal(size=1000)
    return tmp_path / "texts.h5"


@pytest.mark.parametrize("chunk", [2**26, 2**14, 4096])
def test_it_is_what_is_read(path, chunk, monkeypatch):
    monkeypatch.setattr(hdf5_texts, "_CHUNK", chunk)
    assert bytes_of_texts(path) == read(path) > 80_000


def test_one_text_many_times(tmp_path):
    path = tmp_path / "repeated.h5"
    with h5py.File(path, "w") as file:
        file.attrs["names"] = [b"l" * 3000, *[b"s" * 10] * 50]
    content = bytearray(path.read_bytes())
    start = content.find(b"GCOL")
    long_one, short = (struct.pack("<IQ", size, start) for size in (3000, 10))
    place = content.find(long_one)
    whole = content[place : place + 16]
    for number in range(1, 51):
        here = place + 16 * number
        if content[here : here + 12] == short:
            content[here : here + 16] = whole
    path.write_bytes(content)
    assert bytes_of_texts(path) == read(path) > 50_000
    assert path.stat().st_size < 20_000


def test_too_many_texts_are_refused(path, monkeypatch):
    monkeypatch.setattr(hdf5_texts, "_MOST_OBJECTS", 500)
    with pytest.raises(ValueError, match="at most 500 texts"):
        bytes_of_texts(path)


def test_a_file_without_texts(tmp_path):
    with h5py.File(tmp_path / "numbers.h5", "w") as file:
        file["values"] = np.arange(100)
    assert bytes_of_texts(tmp_path / "numbers.h5") == 0


def test_other_addresses_are_refused(tmp_path):
    with h5py.File(tmp_path / "block.h5", "w", userblock_size=512):
        pass
    plist = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    plist.set_sizes(4, 4)
    h5py.h5f.create(str(tmp_path / "short.h5").encode(), fcpl=plist).close()
    for name in ("block.h5", "short.h5"):
        with pytest.raises(ValueError, match="addresses of eight bytes that count from its start"):
            bytes_of_texts(tmp_path / name)
