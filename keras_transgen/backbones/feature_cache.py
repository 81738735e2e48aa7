"""Features on disk: written block by block beside the cache, moved into it when complete.

A folder of the cache holds one `.npy` file an array, a manifest and a journal. While it is being
written it bears another name, and each block counts only once its bytes are on the disk and its
checksums in the journal; so whatever interrupts the writing, the finished blocks are found again
and nothing unfinished is taken for a cache. The files are written, not mapped: memory stays flat,
and a full disk is an error rather than a crash.
"""

import contextlib
import dataclasses
import errno
import hashlib
import io
import json
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from keras_transgen.backbones.folder_removal import remove_folder
from keras_transgen.datasets.whole_file import write_whole

_FORMAT = 1
_MANIFEST = "manifest.json"
_JOURNAL = "journal.jsonl"
#: A block ends when it has this many bytes or is this old, so a kill loses seconds of work.
BLOCK_BYTES = 4 * 2**20
BLOCK_SECONDS = 2.0
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class SameData(str):
    """A `data_key` of whoever knows that the data are the very same ones: they are not looked at.

    A search names the object that it hands to every trial so.
    """


def cache_key(**parts: Any) -> str:
    """Hashes what the features depend on."""
    return hashlib.sha256(json.dumps([_FORMAT, parts], sort_keys=True).encode()).hexdigest()


@dataclasses.dataclass(frozen=True)
class StoredArrays:
    """A complete folder of the cache.

    Attributes:
        arrays: The arrays, mapped read-only from the disk.
        layout: Whatever the writer said about which array is what.
        folder: Where they lie.
    """

    arrays: list[np.memmap]
    layout: Any
    folder: Path


def open_arrays(folder: str | os.PathLike[str], key: str) -> StoredArrays | None:
    """Opens a folder of the cache.

    Returns:
        The arrays, or None where the folder is absent, of another key, incomplete or damaged.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder, key)
    if manifest is None or not manifest.get("complete"):
        return None
    arrays = []
    for described in manifest["arrays"]:
        try:
            array = np.load(folder / described["file"], mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError):
            return None
        if array.shape != (manifest["rows"], *described["shape"]):
            return None
        arrays.append(array)
    # A file may be damaged and keep its length; the journal knows what was written.
    blocks, _ = _whole_blocks(folder, manifest["arrays"])
    if sum(block["rows"] for block in blocks) != manifest["rows"]:
        return None
    return StoredArrays(arrays, manifest["layout"], folder)


class ArrayWriter:
    """Writes arrays that share their first axis, a batch at a time.

    Opened on the folder of an interrupted writing, it goes on after the last finished block:
    `rows` and `batches` say what is there already.

    Args:
        folder: Where the complete folder will be. Nothing is there until `finish`.
        key: The cache key.
    """

    def __init__(self, folder: str | os.PathLike[str], key: str) -> None:
        self.folder = Path(folder)
        self.key = key
        self.rows = 0
        self.batches = 0
        self._partial = self.folder.with_name(self.folder.name + ".partial")
        self._described: list[dict[str, Any]] = []
        self._layout: Any = None
        self._files: list[BinaryIO] = []
        self._open_files = contextlib.ExitStack()
        self._hashes: list[Any] = []
        self._block = {"rows": 0, "batches": 0, "bytes": 0}
        self._block_started = time.monotonic()
        with self._telling_of_a_full_disk():
            self._partial.mkdir(parents=True, exist_ok=True)
            self._resume()

    @property
    def row_bytes(self) -> int:
        """Bytes that one row takes on the disk, 0 before the first batch."""
        return sum(
            np.dtype(described["dtype"]).itemsize * int(np.prod(described["shape"]))
            for described in self._described
        )

    def append(self, arrays: Sequence[np.ndarray], layout: Any) -> None:
        """Adds a batch."""
        described = [
            {"file": f"{index}.npy", "dtype": array.dtype.str, "shape": list(array.shape[1:])}
            for index, array in enumerate(arrays)
        ]
        with self._telling_of_a_full_disk():
            if not self._files:
                self._start(described, layout)
            if described != self._described or layout != self._layout:
                raise ValueError(
                    "Expected every batch to give features and labels of one shape and dtype. "
                    "Bring the inputs to one size (keras.layers.Resizing), or pool the features. "
                    f"Received: {described} at row {self.rows}, {self._described} before"
                )
            for file, digest, array in zip(self._files, self._hashes, arrays):
                data = np.ascontiguousarray(array).data
                file.write(data)
                digest.update(data)
                self._block["bytes"] += data.nbytes
            self._block["rows"] += len(arrays[0])
            self._block["batches"] += 1
            self.rows += len(arrays[0])
            self.batches += 1
            aged = time.monotonic() - self._block_started >= BLOCK_SECONDS
            if aged or self._block["bytes"] >= BLOCK_BYTES:
                self._end_block()

    def finish(self) -> Path:
        """Completes the files and moves them into place."""
        with self._telling_of_a_full_disk():
            if not self._files:
                # All rows were there: the writing was interrupted in this very method.
                self._start(self._described, self._layout)
            self._end_block()
            for file, described in zip(self._files, self._described):
                file.seek(0)
                file.write(_header(described, self.rows))
                file.flush()
                os.fsync(file.fileno())
            self.close()
            self._write_manifest(complete=True)
            remove_folder(self.folder)
            os.replace(self._partial, self.folder)
            _sync_folder(self.folder.parent)
        return self.folder

    def discard(self) -> None:
        """Removes what was written."""
        self.close()
        remove_folder(self._partial)

    def _start(self, described: list[dict[str, Any]], layout: Any) -> None:
        """Opens the files of a fresh writing, or keeps to those of the one that is resumed."""
        if not self._described:
            self._described, self._layout = described, layout
            for each in described:
                _write_durably(self._partial / each["file"], _header(each, 0))
            self._write_manifest(complete=False)
        self._files = [
            self._open_files.enter_context(open(self._partial / each["file"], "r+b"))  # noqa: SIM115
            for each in self._described
        ]
        for file, each in zip(self._files, self._described):
            # Bytes beyond the last finished block were never known to be on the disk.
            file.seek(_row_offset(each, self.rows))
            file.truncate()
        self._hashes = [hashlib.sha256() for _ in self._files]
        self._block_started = time.monotonic()

    def _end_block(self) -> None:
        if not self._block["rows"]:
            return
        for file in self._files:
            file.flush()
            os.fsync(file.fileno())
        checksums = [digest.hexdigest() for digest in self._hashes]
        entry = {**self._block, "sha256": checksums}
        with open(self._partial / _JOURNAL, "ab") as journal:
            journal.write(json.dumps(entry).encode() + b"\n")
            journal.flush()
            os.fsync(journal.fileno())
        self._hashes = [hashlib.sha256() for _ in self._files]
        self._block = {"rows": 0, "batches": 0, "bytes": 0}
        self._block_started = time.monotonic()

    def _resume(self) -> None:
        manifest = _read_manifest(self._partial, self.key)
        if manifest is None:
            remove_folder(self._partial)
            self._partial.mkdir()
            return
        self._described, self._layout = manifest["arrays"], manifest["layout"]
        blocks, journal_bytes = _whole_blocks(self._partial, self._described)
        # Cut short in place: a disk that is still full has no room for a copy.
        if journal_bytes:
            os.truncate(self._partial / _JOURNAL, journal_bytes)
        else:
            (self._partial / _JOURNAL).unlink(missing_ok=True)
        self.rows = sum(block["rows"] for block in blocks)
        self.batches = sum(block["batches"] for block in blocks)

    def _write_manifest(self, complete: bool) -> None:
        manifest = {
            "format": _FORMAT,
            "key": self.key,
            "complete": complete,
            "rows": self.rows,
            "layout": self._layout,
            "arrays": self._described,
        }
        _write_durably(self._partial / _MANIFEST, json.dumps(manifest, indent=1).encode())

    def close(self) -> None:
        """Leaves the finished blocks for another writer to go on from."""
        # Closing flushes what no block counts; on a full disk that may fail, and may.
        with contextlib.suppress(OSError):
            self._open_files.close()
        self._files = []

    @contextlib.contextmanager
    def _telling_of_a_full_disk(self) -> Any:
        try:
            yield
        except OSError as error:
            if error.errno not in _DISK_FULL:
                raise
            self.close()
            raise full_disk_error(error.errno, self.folder, self.rows) from error


def full_disk_error(number: int, folder: Path, rows: int, needed: int | None = None) -> OSError:
    """The error that says what a full disk means for the cache, and what to do.

    Args:
        number: The `errno`.
        folder: Where the cache was to be.
        rows: How many rows were written.
        needed: How many bytes all rows would take, where that is known.
    """
    free = shutil.disk_usage(folder.parent).free if folder.parent.exists() else 0
    size = "" if needed is None else f" The features take {needed:,} bytes."
    return OSError(
        number,
        f"The disk is full, or the file too large for it, after {rows} rows of features; nothing "
        f"unfinished is taken for a cache.{size} Free some space and run this again (with a "
        "cache_dir it goes on from the last finished block), give a cache_dir on another disk, or "
        "store half the bytes with "
        f'dtype="float16". Received: cache_dir={folder.parent} with {free:,} bytes free',
    )


def _read_manifest(folder: Path, key: str) -> dict[str, Any] | None:
    try:
        manifest = json.loads((folder / _MANIFEST).read_bytes())
        known = manifest["format"] == _FORMAT and manifest["key"] == key
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return manifest if known else None


def _whole_blocks(
    folder: Path, described: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], int]:
    """The journal's blocks up to the first whose bytes are not what was written.

    Returns:
        The blocks, and how many bytes of the journal they are.
    """
    blocks: list[dict[str, Any]] = []
    journal_bytes = row = 0
    with contextlib.ExitStack() as stack:
        try:
            lines = (folder / _JOURNAL).read_bytes().splitlines(keepends=True)
            files = [stack.enter_context(open(folder / each["file"], "rb")) for each in described]
        except FileNotFoundError:
            return [], 0
        for line in lines:
            try:
                block = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                block = None
            if block is None or not _is_whole(block, row, files, described):
                break
            blocks.append(block)
            journal_bytes += len(line)
            row += block["rows"]
    return blocks, journal_bytes


def _is_whole(
    block: dict[str, Any], row: int, files: Sequence[BinaryIO], described: list[dict[str, Any]]
) -> bool:
    for file, each, checksum in zip(files, described, block["sha256"]):
        file.seek(_row_offset(each, row))
        size = _row_offset(each, block["rows"]) - _row_offset(each, 0)
        if hashlib.sha256(file.read(size)).hexdigest() != checksum:
            return False
    return True


def _header(described: dict[str, Any], rows: int) -> bytes:
    """The `.npy` header, in which NumPy leaves room for any number of rows."""
    header = io.BytesIO()
    shape = (rows, *described["shape"])
    said = {"descr": described["dtype"], "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, said)
    return header.getvalue()


def _row_offset(described: dict[str, Any], row: int) -> int:
    row_bytes = np.dtype(described["dtype"]).itemsize * int(np.prod(described["shape"]))
    return len(_header(described, 0)) + row * row_bytes


def _write_durably(file: Path, content: bytes) -> None:
    def write(beside: str) -> None:
        with open(beside, "xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())

    write_whole(str(file), write)
    _sync_folder(file.parent)


def _sync_folder(folder: Path) -> None:
    """Makes a renaming durable; not every system can, and then it is only less certain."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
