"""Arrays in a NumPy archive (`.npz`) that a stranger may have made, read within limits.

`numpy.load` makes what an archive says: of two hundred kilobytes, two hundred megabytes. Here an
array's header is held against the member's size, and the size against the limits, before memory is
taken.
"""

from __future__ import annotations

import math
import os
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from keras_transgen.training.zip_limits import check_members

_MAX_ARRAYS = 100_000
_LONGEST_HEADER = 10_000
_NUMBERS = "biufcUSV"
_CHUNK = 2**20
# Weights that were just initialised are mostly zeros and compress a thousandfold; below this size
# it does no harm.
_RATIO_FLOOR = 16 * 2**20
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    tokenize.TokenError,
    TypeError,
    UnicodeError,
    ValueError,
)


def read_arrays(path: str | os.PathLike[str], max_bytes: int) -> dict[str, np.ndarray]:
    """All arrays of an `.npz` file, by name."""
    try:
        if not Path(path).is_file() or not zipfile.is_zipfile(path):
            raise ValueError("no archive of arrays")
        check_members(path, _MAX_ARRAYS, max_bytes, ratio_floor=_RATIO_FLOOR)
        with zipfile.ZipFile(path) as archive:
            return {
                member.filename.removesuffix(".npy"): _read(archive, member)
                for member in archive.infolist()
            }
    except _DAMAGE as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as stream:
        shape, fortran_order, dtype = _header(stream)
        count = math.prod(shape)
        if dtype.kind not in _NUMBERS or dtype.hasobject:
            raise ValueError(f"an array of numbers is expected. Received: dtype {dtype}")
        if any(axis < 0 for axis in shape) or count * dtype.itemsize != (
            member.file_size - stream.tell()
        ):
            raise ValueError(
                f"{member.filename[:80]!r} has {member.file_size:,} bytes, and says that it is an "
                f"array of shape {shape} of {dtype}"
            )
        flat = np.empty(count, dtype)
        _fill(flat, stream)
    return flat.reshape(shape, order="F" if fortran_order else "C")


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(stream)
    readers: dict[Any, Any] = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"an array of format version 1 or 2 is expected. Received: {version}")
    return readers[version](stream, max_header_size=_LONGEST_HEADER)


def _fill(flat: np.ndarray, stream: IO[bytes]) -> None:
    """Read values in place, and on to the end: there the checksum is compared."""
    target, place = memoryview(flat.view("uint8").reshape(-1)), 0  # type: ignore[arg-type]
    while place < len(target):
        part = stream.read(min(_CHUNK, len(target) - place))
        if not part:
            raise ValueError("the array is cut short")
        target[place : place + len(part)] = part
        place += len(part)
    if stream.read(1):
        raise ValueError("there is more than the array")
