"""A folder of Parquet files that many processes fill: every row once, whatever is killed when."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transgen.distributed.ray_extra import ray_module

if TYPE_CHECKING:
    import pyarrow as pa

# Readers of Parquet folders pass over names that begin so.
_RECORD = "_keras_transgen.json"
_UNFINISHED = "_writing-"
_SHAPE = b"shape"


class ParquetFolder:
    """A folder whose files are there whole or not at all, of rows with one key each.

    A file is named by the keys of its rows, so that work done twice is written once. Where rows
    came to lie in two files after all (work that was given out again in other portions), `settle`
    leaves one of them.

    Args:
        path: A folder that all machines see, or an address such as `s3://bucket/features`.
        key: The column that tells rows apart.
    """

    def __init__(self, path: str | os.PathLike[str], key: str) -> None:
        fs = ray_module("pyarrow.fs")
        text = os.fspath(path)
        if "://" not in text:
            text = os.path.abspath(os.path.expanduser(text))
        self._files, self._root = fs.FileSystem.from_uri(text)
        self.path = text
        self.key = key

    def begin(self, record: Mapping[str, Any]) -> None:
        """Make the folder, or go on with one that was begun for the same work."""
        expected = json.loads(json.dumps(record))
        place = f"{self._root}/{_RECORD}"
        if _exists(self._files, place):
            with self._files.open_input_stream(place) as stream:
                found = json.loads(stream.read())
            different = {
                name: (found.get(name), expected.get(name))
                for name in sorted({*found, *expected})
                if found.get(name) != expected.get(name)
            }
            if different:
                raise ValueError(
                    "Expected a folder of the same work, to go on with. Give another output "
                    "folder, or delete this one. Received: "
                    f"{self.path!r}, where (before, now) differ: {different}"
                )
            return
        if self._listed():
            raise ValueError(
                "Expected a new or empty output folder, or one that this function began. "
                f"Received: {self.path!r} with other Parquet files"
            )
        self._files.create_dir(self._root, recursive=True)
        beside = f"{self._root}/{_UNFINISHED}{uuid.uuid4().hex}"
        with self._files.open_output_stream(beside) as stream:
            stream.write(json.dumps(expected, indent=1).encode())
        self._files.move(beside, place)

    def write(self, table: pa.Table) -> str:
        """Write rows as one file, complete or not at all."""
        parquet = ray_module("pyarrow.parquet")
        keys = json.dumps(table[self.key].to_pylist()).encode()
        name = f"{hashlib.sha256(keys).hexdigest()[:32]}.parquet"
        beside = f"{self._root}/{_UNFINISHED}{uuid.uuid4().hex}"
        parquet.write_table(table, beside, filesystem=self._files)
        self._files.move(beside, f"{self._root}/{name}")
        return name

    def settle(self) -> pa.Array:
        """Remove what was left unfinished, and files whose rows others hold too.

        Call it while nothing is written.
        """
        arrow = ray_module("pyarrow")
        compute, parquet = ray_module("pyarrow.compute"), ray_module("pyarrow.parquet")
        fs = ray_module("pyarrow.fs")
        for entry in self._files.get_file_info(fs.FileSelector(self._root)):
            if entry.base_name.startswith(_UNFINISHED):
                self._files.delete_file(entry.path)
        kept: list[pa.Array] = []
        suspects: dict[str, pa.Array] = {}
        for path in self._listed():
            try:
                keys = parquet.read_table(path, columns=[self.key], filesystem=self._files)
            except arrow.ArrowInvalid:
                # A disk that lost power while it was written; its rows count as not done.
                self._files.delete_file(path)
                continue
            suspects[path] = keys[self.key].combine_chunks()
        # The larger file stays: less is done again.
        seen: pa.Array | None = None
        everything = arrow.chunked_array(list(suspects.values())) if suspects else None
        if everything is None:
            return arrow.array([], arrow.string())
        if compute.count_distinct(everything).as_py() == len(everything):
            return everything.combine_chunks()
        for path, keys in sorted(suspects.items(), key=lambda item: -len(item[1])):
            if seen is not None and compute.any(compute.is_in(keys, value_set=seen)).as_py():
                self._files.delete_file(path)
                continue
            kept.append(keys)
            seen = arrow.concat_arrays(kept)
        assert seen is not None
        return seen

    def read(self, columns: Sequence[str]) -> pa.Table:
        """These columns of all rows, in the order of the key.

        Raises:
            FileNotFoundError: If there are no rows.
        """
        parquet = ray_module("pyarrow.parquet")
        if not self._listed():
            raise FileNotFoundError(
                f"Expected a folder of Parquet files. Received: {self.path!r}, without any"
            )
        table = parquet.read_table(self._root, columns=[self.key, *columns], filesystem=self._files)
        return table.sort_by(self.key)

    def columns(self) -> list[str]:
        """The names of the columns."""
        parquet = ray_module("pyarrow.parquet")
        paths = self._listed()
        return list(parquet.read_schema(paths[0], filesystem=self._files).names) if paths else []

    def _listed(self) -> list[str]:
        fs = ray_module("pyarrow.fs")
        entries = self._files.get_file_info(fs.FileSelector(self._root, allow_not_found=True))
        return sorted(
            entry.path
            for entry in entries
            if entry.base_name.endswith(".parquet") and not entry.base_name.startswith("_")
        )


def _exists(files: Any, path: str) -> bool:
    return files.get_file_info(path).type != ray_module("pyarrow.fs").FileType.NotFound


def array_column(name: str, values: np.ndarray) -> tuple[pa.Field, pa.Array]:
    """A column of lists of one length, which every reader of Parquet knows, and its field.

    Args:
        name: Of the column.
        values: `[rows, ...]`; the shape of a row is kept in the field's metadata.
    """
    pa = ray_module("pyarrow")
    values = np.ascontiguousarray(values)
    size = int(np.prod(values.shape[1:]))
    column = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), size)
    shape = json.dumps(list(values.shape[1:])).encode()
    return pa.field(name, column.type, metadata={_SHAPE: shape}), column


def column_array(table: pa.Table, name: str) -> np.ndarray:
    """The array `[rows, ...]` that a column was made of."""
    field = table.schema.field(name)
    column = table[name].combine_chunks()
    shape = json.loads((field.metadata or {}).get(_SHAPE, b"null"))
    if shape is None:
        return column.to_numpy(zero_copy_only=False)
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), *shape)
