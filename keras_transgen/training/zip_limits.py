"""What a zip archive may cost, looked up in its directory before anything of it is read."""

from __future__ import annotations

import os
import struct
import zipfile
from typing import IO

MAX_BYTES = 16 * 2**30
MAX_RATIO = 200.0
# Weights that were just initialised are mostly zeros and compress a thousandfold: the ratio says
# something about intent only once the unpacked size could hurt.
RATIO_FLOOR = 256 * 2**20

# A directory's entry: 46 bytes and a name. Python makes an object of several hundred out of it.
_LONGEST_ENTRY = 400
_LEAST_DIRECTORY = 2**16
_LONGEST_COMMENT = 2**16
_END, _END_SIZE = b"PK\x05\x06", 22
_LOCATOR, _LOCATOR_SIZE = b"PK\x06\x07", 20
_END_64_SIZE = 56
# Python unpacks the other methods without a limit on memory.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
_IN_64 = 0xFFFFFFFF


class ZipLimitError(ValueError):
    """A zip archive that costs too much to read, or is no honest one."""


def check_members(
    file: str | os.PathLike[str] | IO[bytes],
    max_members: int,
    max_bytes: int = MAX_BYTES,
    max_ratio: float = MAX_RATIO,
    ratio_floor: int = RATIO_FLOOR,
) -> None:
    """Refuse a zip archive that costs too much to read, or whose directory is no honest one.

    Reading then stays within the limits too: Python reads no more of a member than the directory
    says.

    Args:
        file: The archive, its path or open for reading.
        max_members: How many members it may have.
        max_bytes: How many bytes they may have, unpacked, all together. Defaults to 16 GiB.
        max_ratio: How many times its size it may unpack to, all together and each member. Defaults
            to 200.
        ratio_floor: Unpacked bytes up to which the ratio says nothing. Defaults to 256 MiB.

    Raises:
        ZipLimitError: It is beyond a limit, encrypted, or compressed in another way than by
            deflate; or a name in it comes twice, or leads out of it.
    """
    if isinstance(file, (str, os.PathLike)):
        with open(file, "rb") as opened:
            check_members(opened, max_members, max_bytes, max_ratio, ratio_floor)
        return
    size = os.fstat(file.fileno()).st_size
    directory = _directory_size(file, size)
    if directory > max(_LEAST_DIRECTORY, max_members * _LONGEST_ENTRY):
        raise ZipLimitError(
            f"Expected an archive of at most {max_members:,} members. "
            f"Received: one with a directory of {directory:,} bytes"
        )
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
    if len(members) > max_members:
        raise ZipLimitError(
            f"Expected an archive of at most {max_members:,} members. Received: {len(members):,}"
        )
    names: set[str] = set()
    total = 0
    for member in members:
        if member.filename in names:
            raise ZipLimitError(
                "Every member of an archive must have a name of its own. "
                f"Received: {member.filename[:80]!r} twice"
            )
        names.add(member.filename)
        _check_member(member, max_ratio, ratio_floor)
        total += member.file_size
    if total > max_bytes:
        raise ZipLimitError(
            f"Expected an archive that unpacks to at most {max_bytes:,} bytes; if you trust this "
            f"one, raise max_bytes. Received: {total:,} bytes"
        )
    _check_ratio("the archive", total, size, max_ratio, ratio_floor)


def _climbs(name: str) -> bool:
    """Whether a member's name leads out of the folder that an archive is unpacked into."""
    path = name.replace("\\", "/")
    return path.startswith("/") or path[1:2] == ":" or ".." in path.split("/") or "\0" in path


def _check_member(member: zipfile.ZipInfo, max_ratio: float, ratio_floor: int) -> None:
    name = member.filename[:80]
    if _climbs(member.filename):
        raise ZipLimitError(
            f"Names in an archive stay within it. Received: {name!r}, which leads out"
        )
    if member.flag_bits & _ENCRYPTED or member.compress_type not in _METHODS:
        raise ZipLimitError(
            "Members of an archive must be stored or deflated, and not encrypted. "
            f"Received: {name!r} with method {member.compress_type}, flags {member.flag_bits}"
        )
    _check_ratio(repr(name), member.file_size, member.compress_size, max_ratio, ratio_floor)


def _check_ratio(what: str, unpacked: int, packed: int, most: float, floor: int) -> None:
    if unpacked > floor and unpacked > most * max(packed, 1):
        raise ZipLimitError(
            f"Expected an archive that unpacks to at most {most:g} times its size; more is the "
            "mark of a decompression bomb. "
            f"Received: {what}, {unpacked:,} bytes out of {packed:,}"
        )


def _directory_size(stream: IO[bytes], size: int) -> int:
    """The bytes of an archive's directory, as its end says: Python reads them all at once."""
    stream.seek(max(0, size - _END_SIZE - _LONGEST_COMMENT - _LOCATOR_SIZE - _END_64_SIZE))
    tail = stream.read()
    place = tail.rfind(_END)
    if place < 0 or len(tail) - place < _END_SIZE:
        raise ZipLimitError("Expected a zip archive. Received: one whose end is missing")
    (said,) = struct.unpack_from("<I", tail, place + 12)
    locator = tail[max(0, place - _LOCATOR_SIZE) : place]
    if not locator.startswith(_LOCATOR) or len(locator) < _LOCATOR_SIZE:
        return said
    # Some readers go where the locator points, some look right before it.
    (where,) = struct.unpack_from("<Q", locator, 8)
    before = max(0, place - _LOCATOR_SIZE - _END_64_SIZE)
    stream.seek(min(where, size))
    ends = [tail[before : before + _END_64_SIZE], stream.read(_END_64_SIZE)]
    if any(len(end) < _END_64_SIZE for end in ends):
        raise ZipLimitError("Expected a zip archive. Received: one whose end is missing")
    sizes = [struct.unpack_from("<Q", end, 40)[0] for end in ends]
    return max(*sizes, said if said != _IN_64 else 0)
