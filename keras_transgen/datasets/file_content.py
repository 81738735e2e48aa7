"""The content of a stranger's file, gzipped or not: all of it, and no more than it may cost."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from pathlib import Path
from typing import IO

from keras_transgen.datasets.image_file import open_plain_file
from keras_transgen.datasets.printable import printable

_GZIP_MAGIC = b"\x1f\x8b"
_PIECE = 2**20


def file_content(path: str | os.PathLike[str], max_bytes: int, reader: str) -> bytes:
    """The bytes of a file, unpacked where it is gzipped.

    Args:
        path: The file.
        max_bytes: Most bytes, after unpacking; no more are read.
        reader: What errors say was called.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it has more than `max_bytes`, or is a gzip file that is not whole.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        there = "a folder" if path.is_dir() else "a pipe, socket or device"
        kind = there if path.exists() else "nothing there"
        raise FileNotFoundError(f"{reader} expected a file. Received: {printable(path)} ({kind})")
    with open_plain_file(path) as file:
        packed = file.read(2) == _GZIP_MAGIC
        file.seek(0)
        stream: IO[bytes] = gzip.GzipFile(fileobj=file) if packed else io.BufferedReader(file)  # type: ignore
        try:
            content = _at_most(stream, max_bytes + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(
                f"{reader} expected a whole gzip file; fetch it again. "
                f"Received: {printable(path)} ({error})"
            ) from error
    if len(content) > max_bytes:
        raise ValueError(
            f"{reader} expected at most max_bytes={max_bytes:,}; give more where memory allows. "
            f"Received: {printable(path)} with more"
        )
    return content


def _at_most(stream: IO[bytes], count: int) -> bytes:
    # Piece by piece: a reader that is asked for a gigabyte takes the memory first.
    pieces = []
    while count > 0 and (piece := stream.read(min(count, _PIECE))):
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


def file_text(
    path: str | os.PathLike[str], max_bytes: int, reader: str, encoding: str = "utf-8"
) -> str:
    """The text of a file, gzipped or not, without a byte order mark; line ends as they are.

    Args:
        path: As in `file_content`.
        max_bytes: As in `file_content`.
        reader: As in `file_content`.
        encoding: Of the text. Defaults to UTF-8.

    Raises:
        FileNotFoundError: As `file_content`.
        ValueError: As `file_content`, or if there is no such encoding, the bytes are no text in
            it, or there are zeros among the characters, as in binary files.
    """
    content = file_content(path, max_bytes, reader)
    try:
        text = content.decode(encoding)
    except LookupError as error:
        raise ValueError(
            "Expected the name of an encoding of text, such as 'utf-8', 'cp1252' or 'utf-16'. "
            f"Received: encoding={encoding!r}"
        ) from error
    except UnicodeError as error:
        start = getattr(error, "start", 0)
        raise ValueError(
            f"{reader} expected text in encoding={encoding!r}. Pass the file's own, often "
            f"{_likely_encoding(content)}. Received: {printable(path)}, in line "
            f"{content.count(bytes([10]), 0, start) + 1}: {content[start : start + 8]!r}"
        ) from error
    zero = text.find("\0")
    if zero >= 0:
        raise ValueError(
            f"{reader} expected text; zeros are found in binary files and in other encodings "
            "(encoding='utf-16'). "
            f"Received: {printable(path)} with a zero in line {text.count(chr(10), 0, zero) + 1}"
        )
    return text.removeprefix("\ufeff")


def _likely_encoding(content: bytes) -> str:
    return "'utf-16'" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "'cp1252' or 'latin-1'"
