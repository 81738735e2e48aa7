"""Rows are in the folder once, whoever was killed while writing."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from keras_transgen.distributed.parquet_folder import ParquetFolder, array_column, column_array


def rows(*files: str) -> pa.Table:
    return pa.table({"file": list(files), "value": [float(len(name)) for name in files]})


def parquet_files(folder) -> list[str]:
    return sorted(path.name for path in folder.glob("*.parquet"))


def test_the_same_rows_written_twice_are_there_once(tmp_path):
    folder = ParquetFolder(tmp_path, "file")
    assert folder.write(rows("a", "bb")) == folder.write(rows("a", "bb"))
    assert len(parquet_files(tmp_path)) == 1
    assert folder.settle().to_pylist() == ["a", "bb"]


def test_settling_leaves_every_row_once_and_tells_which_are_missing(tmp_path):
    folder = ParquetFolder(tmp_path, "file")
    folder.write(rows("a", "b", "c"))
    folder.write(rows("c", "d"))  # Given out again in another portion.
    folder.write(rows("e"))
    (tmp_path / "_writing-123").write_bytes(b"half")
    # A file cut short has no footer.
    whole = (tmp_path / folder.write(rows("f"))).read_bytes()
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(whole[: len(whole) // 2])
    assert sorted(folder.settle().to_pylist()) == ["a", "b", "c", "e", "f"]
    assert not cut.exists()
    assert not (tmp_path / "_writing-123").exists()
    assert sorted(pq.read_table(tmp_path)["file"].to_pylist()) == ["a", "b", "c", "e", "f"]


def test_arrays_come_back_and_other_readers_know_them(tmp_path):
    values = np.random.default_rng(0).normal(size=(6, 2, 3)).astype("float16")
    field, column = array_column("features", values)
    table = pa.table(
        [pa.array(list("fedcba")), column], schema=pa.schema([pa.field("file", pa.string()), field])
    )
    folder = ParquetFolder(tmp_path, "file")
    folder.write(table.slice(0, 2))
    folder.write(table.slice(2))
    read = folder.read(["features"])
    assert read["file"].to_pylist() == list("abcdef")
    np.testing.assert_array_equal(column_array(read, "features"), values[::-1])
    frame = pd.read_parquet(tmp_path).sort_values("file")
    np.testing.assert_array_equal(np.stack(frame["features"]), values[::-1].reshape(6, 6))


def test_an_address_is_a_folder_too(tmp_path):
    folder = ParquetFolder((tmp_path / "new").as_uri(), "file")
    folder.begin({"size": (8, 8)})
    folder.write(rows("a"))
    assert folder.settle().to_pylist() == ["a"]
    assert len(parquet_files(tmp_path / "new")) == 1


def test_a_folder_of_other_work_is_refused(tmp_path):
    ParquetFolder(tmp_path / "new", "file").begin({"size": (8, 8), "backbone": "a"})
    ParquetFolder(tmp_path / "new", "file").begin({"size": (8, 8), "backbone": "a"})
    with pytest.raises(ValueError, match=r"other output folder|another output") as error:
        ParquetFolder(tmp_path / "new", "file").begin({"size": (8, 8), "backbone": "b"})
    assert "{'backbone': ('a', 'b')}" in str(error.value)
    (tmp_path / "foreign").mkdir()
    pq.write_table(rows("a"), tmp_path / "foreign" / "data.parquet")
    with pytest.raises(ValueError, match="other Parquet files"):
        ParquetFolder(tmp_path / "foreign", "file").begin({})


def test_reading_an_empty_folder_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="without any"):
        ParquetFolder(tmp_path, "file").read(["features"])
