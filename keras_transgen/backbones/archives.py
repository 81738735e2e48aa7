"""Unpack a module's archive without trusting it.

Python's own `tarfile` is not strict enough for what comes from the network: it stops in silence
at a header that is damaged or missing, so an archive cut between two files unpacks "well", and
it follows links and sizes as the archive's author wishes, and reads an extended header into memory
whole, whatever size it claims. Here an archive either arrives whole, inside its folder and within
its limits, or nothing of it stays; tarfile reads through a stream that refuses what no archiver
writes before it is read, and of a zip the directory is looked at first (`zip_limits`).
"""

from __future__ import annotations

import errno
import functools
import gzip
import lzma
import os
import re
import stat
import struct
import tarfile
import uuid
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from keras_transgen.backbones.folder_removal import remove_folder
from keras_transgen.datasets.printable import printable
from keras_transgen.training.zip_limits import (
    MAX_BYTES,
    MAX_RATIO,
    RATIO_FLOOR,
    ZipLimitError,
    check_members,
)

MAX_MEMBERS = 100_000
# A SavedModel's files lie two or three folders deep; systems take paths of 4,096 bytes.
MAX_DEPTH = 32
MAX_NAME = 1000

_BLOCK = 512
_CHUNK = 2**20
# Long names and extended attributes take a few hundred bytes of a tar's header, and one or two
# headers before the file's own.
_LARGEST_HEADER = 2**16
_HEADER_READS = 20
_ZIP_HEADER = 30
# In Pythons before 3.11.10 tarfile's patterns take the square of a row of digits.
_MANY_DIGITS = re.compile(rb"\d{65}")
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    RuntimeError,
    ValueError,
)


class ArchiveError(ValueError):
    """An archive that is damaged, cut short, or would do more than unpack a module."""


@dataclass(frozen=True)
class _Limits:
    members: int
    bytes: int
    ratio: float
    ratio_floor: int

    def check(self, name: str, unpacked: int, packed: int) -> None:
        if unpacked > self.bytes:
            raise ArchiveError(
                f"expected an archive that unpacks to at most {self.bytes:,} bytes; if you trust "
                f"this one, unpack it yourself and pass the folder. Received: {name}, which "
                f"unpacks to {unpacked:,} bytes or more"
            )
        if unpacked > self.ratio_floor and unpacked > self.ratio * max(packed, 1):
            raise ArchiveError(
                f"expected an archive that unpacks to at most {self.ratio:g} times its size (more "
                "is the mark of a decompression bomb); if you trust this one, unpack it yourself "
                f"and pass the folder. Received: {name}, {unpacked:,} bytes out of {packed:,}"
            )


def unpack_archive(
    archive: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    name: str | None = None,
    max_members: int = MAX_MEMBERS,
    max_bytes: int = MAX_BYTES,
    max_ratio: float = MAX_RATIO,
    ratio_floor: int = RATIO_FLOOR,
) -> Path:
    """Unpacks a tar.gz, tar or zip archive into a new folder, or leaves nothing behind.

    The files go into a temporary folder beside `target`, which takes the name `target` in one
    step when it is complete. The format is read from the content,
    not from the file's name. Permissions, owners and times in the archive are ignored.

    Args:
        archive: File to unpack.
        target: Folder to create. It must not exist, or be empty.
        name: What error messages call the archive. Defaults to its path.
        max_members: Most entries, and most folders that they bring along. Defaults to 100,000.
        max_bytes: Most unpacked bytes (a tar's own headers count). Defaults to 16 GiB.
        max_ratio: Most unpacked bytes per packed byte. Defaults to 200.
        ratio_floor: Unpacked bytes below which `max_ratio` is not applied. Defaults to 256 MiB.

    Raises:
        ArchiveError: When the archive is no archive, damaged, cut short, empty, beyond a limit,
            or holds an absolute path, `..`, a link, a device, the same name twice, a name that
            is too long or too deep, or headers that no archiver writes.
    """
    archive, target = Path(archive), Path(target)
    limits = _Limits(max_members, max_bytes, max_ratio, ratio_floor)
    partial = target.parent / f".{target.name}.{uuid.uuid4().hex}.partial"
    partial.mkdir()
    try:
        _unpack_into(archive, name or str(archive), partial, limits)
        os.replace(partial, target)
    finally:
        remove_folder(partial)
    return target


def is_archive(file: str | os.PathLike[str]) -> bool:
    """Whether a file begins or ends like an archive that `unpack_archive` reads."""
    return _format(Path(file)) is not None


def _format(archive: Path) -> str | None:
    with archive.open("rb") as file:
        head = file.read(_BLOCK)
    if head.startswith(b"\x1f\x8b"):
        return "tar.gz"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    # Byte 257 on is "ustar" in every tar of the last thirty years.
    return "tar" if head[257:262] == b"ustar" else None


def _unpack_into(archive: Path, name: str, folder: Path, limits: _Limits) -> None:
    unpack = {"tar.gz": _unpack_tar, "tar": _unpack_tar, "zip": _unpack_zip}
    kind = _format(archive)
    if kind is None:
        raise ArchiveError(
            "expected a .tar.gz, .tar or .zip archive; check that the file is the module and not, "
            f"say, a web page saved under its name. Received: {name}, "
            f"{archive.stat().st_size:,} bytes of something else"
        )
    try:
        unpack[kind](archive, _Destination(name, folder, limits.members), limits)
    except ArchiveError:
        raise
    except ZipLimitError as error:
        raise ArchiveError(f"{printable(error)} (archive {name})") from error
    except _DAMAGE as error:
        raise _damaged(name, str(error) or type(error).__name__) from error
    if not any(folder.iterdir()):
        raise _damaged(name, "it holds no files")


def _damaged(name: str, reason: str) -> ArchiveError:
    return ArchiveError(
        "expected a whole archive; this one is damaged or cut short: fetch it again. "
        f"Received: {name}, where {printable(reason)}"
    )


def _too_many(name: str) -> ArchiveError:
    return ArchiveError(
        "expected an archive of fewer files; a SavedModel has a few dozen. Check that it is a "
        f"module. Received: {name}, with too many files and folders in it"
    )


class _Destination:
    """The folder an archive unpacks into, which decides what may be written where."""

    def __init__(self, archive: str, folder: Path, max_members: int):
        self.archive = archive
        self._folder = folder
        self._room = max_members
        self._folders: set[PurePosixPath] = set()
        # And the folder of all, which is among the parents of each.
        self._most_folders = max_members + 1

    def add_folder(self, name: str) -> None:
        self._place(name).mkdir(parents=True, exist_ok=True)

    def add_file(self, name: str, chunks: Iterator[bytes], size: int) -> None:
        path = self._place(name)
        if path == self._folder:
            raise self.refusal(name, "a file without a name")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("xb")
        except (FileExistsError, NotADirectoryError):
            raise self.refusal(name, "the same name twice") from None
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            raise self.refusal(name[:80] + "...", "a name that is too long") from None
        with file:
            written = sum(file.write(chunk) for chunk in chunks)
        if written != size:
            raise _damaged(self.archive, f"{name!r} has {written:,} of its {size:,} bytes")

    def _place(self, name: str) -> Path:
        self._room -= 1
        if self._room < 0:
            raise _too_many(self.archive)
        inside = PurePosixPath(name)
        if "\\" in name or "\0" in name or (inside.parts and ":" in inside.parts[0]):
            raise self.refusal(name, "a path of another system")
        if inside.is_absolute():
            raise self.refusal(name, "an absolute path")
        if ".." in inside.parts:
            raise self.refusal(name, "a path that climbs out of its folder")
        if len(name) > MAX_NAME:
            raise self.refusal(name[:80] + "...", "a name that is too long")
        if len(inside.parts) > MAX_DEPTH:
            raise self.refusal(name[:80] + "...", f"a path of more than {MAX_DEPTH} folders")
        if not name.isprintable():
            raise self.refusal(name, "a name with characters that cannot be printed")
        # A file brings its folders along, whether the archive lists them or not.
        self._folders.update(inside.parents)
        if len(self._folders) > self._most_folders:
            raise _too_many(self.archive)
        return self._folder.joinpath(*inside.parts)

    def refusal(self, name: str, kind: str) -> ArchiveError:
        return ArchiveError(
            "expected an archive of plain files and folders inside one folder, as a module is. "
            "Nothing of it was kept; do not unpack it by hand unless you know who made it. "
            f"Received: {self.archive}, which holds {kind}: {name!r}"
        )


class _MeasuredStream:
    """A stream of unpacked bytes that knows how far it has come and where it became zeros."""

    def __init__(self, archive: str, packed: IO[bytes], unpacked: IO[bytes], limits: _Limits):
        self._archive = archive
        self._packed = packed
        self._unpacked = unpacked
        self._limits = limits
        self.total = 0
        self.end_of_content = 0

    def read(self, size: int) -> bytes:
        data = self._unpacked.read(size)
        content = len(data.rstrip(b"\0"))
        if content:
            self.end_of_content = self.total + content
        self.total += len(data)
        self._limits.check(self._archive, self.total, self._packed.tell())
        return data

    def drain(self) -> None:
        while self.read(_CHUNK):
            pass


def _unpack_tar(archive: Path, destination: _Destination, limits: _Limits) -> None:
    with archive.open("rb") as packed:
        unpacked: Any = packed
        if _format(archive) == "tar.gz":
            unpacked = gzip.GzipFile(fileobj=packed)
        stream = _MeasuredStream(destination.archive, packed, unpacked, limits)
        headers: Any = _TarHeaders(destination.archive, stream)
        end = 0
        with tarfile.open(fileobj=headers, mode="r:") as tar:
            while (member := headers.next(tar)) is not None:
                _unpack_member(stream, member, destination)
                end = member.offset_data
                if member.isreg():
                    end += -(-member.size // _BLOCK) * _BLOCK
        # Reading on to the end checks the gzip trailer, and shows what tarfile does not say:
        # whether it stopped at the end of the archive or at a header it could not read.
        stream.drain()
    if stream.end_of_content > end or stream.total < end + 2 * _BLOCK:
        raise _damaged(destination.archive, f"the list of files breaks off after {end:,} bytes")


class _TarHeaders:
    """What tarfile may read of a stream: forwards only, in pieces of a header's size.

    Files are read from the stream itself, so that every reading of tarfile's is one of headers.
    """

    def __init__(self, archive: str, stream: _MeasuredStream):
        self._archive = archive
        self._stream = stream
        self._reads = 0

    def next(self, tar: Any) -> tarfile.TarInfo | None:
        member = tar.next()
        # tarfile keeps every member it has met, and all that global headers say.
        tar.members.clear()
        if sum(map(len, tar.pax_headers.values()), len(tar.pax_headers)) > _LARGEST_HEADER:
            raise _damaged(self._archive, "its global headers are larger than an archiver writes")
        self._reads = 0
        return member

    def tell(self) -> int:
        return self._stream.total

    def seek(self, position: int) -> None:
        if position < self._stream.total:
            raise _damaged(self._archive, "a header leads backwards")
        while (ahead := position - self._stream.total) > 0:
            if not self._stream.read(min(ahead, _CHUNK)):
                return

    def read(self, size: int) -> bytes:
        self._reads += 1
        if size > _LARGEST_HEADER or self._reads > _HEADER_READS:
            raise _damaged(self._archive, "a header is larger than an archiver writes")
        data = self._stream.read(size)
        if size > _BLOCK and _MANY_DIGITS.search(data):
            raise _damaged(self._archive, "a header holds a longer number than an archiver writes")
        return data


def _unpack_member(stream: _MeasuredStream, member: tarfile.TarInfo, to: _Destination) -> None:
    if member.isdir():
        to.add_folder(member.name)
    elif member.isreg() and not member.issparse() and member.size >= 0:
        to.add_file(member.name, _content(stream, member.size), member.size)
    else:
        raise to.refusal(member.name, _tar_kind(member))


def _content(stream: _MeasuredStream, size: int) -> Iterator[bytes]:
    while size > 0 and (chunk := stream.read(min(size, _CHUNK))):
        size -= len(chunk)
        yield chunk


def _tar_kind(member: tarfile.TarInfo) -> str:
    if member.issym():
        return "a symbolic link"
    if member.islnk():
        return "a hard link"
    if member.isdev():
        return "a device or pipe"
    return "an entry that is no plain file"


def _unpack_zip(archive: Path, destination: _Destination, limits: _Limits) -> None:
    with archive.open("rb") as stream:
        check_members(stream, limits.members, limits.bytes, limits.ratio, limits.ratio_floor)
        file = zipfile.ZipFile(stream)
        _check_zip_places(destination.archive, file.infolist(), archive.stat().st_size)
        for member in file.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                link = kind == stat.S_IFLNK
                raise destination.refusal(
                    member.filename, "a symbolic link" if link else "a device"
                )
            if member.is_dir():
                destination.add_folder(member.filename)
                continue
            with file.open(member) as content:
                chunks = iter(functools.partial(content.read, _CHUNK), b"")
                destination.add_file(member.filename, chunks, member.file_size)


def _check_zip_places(archive: str, members: list[zipfile.ZipInfo], packed: int) -> None:
    """Every file has bytes of its own; otherwise few bytes are unpacked under many names."""
    end = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        if not 0 <= member.header_offset < packed:
            raise _damaged(archive, f"{member.filename!r} lies outside of it")
        if member.header_offset < end:
            raise _damaged(archive, f"{member.filename!r} lies in another file")
        end = member.header_offset + _ZIP_HEADER + member.compress_size
