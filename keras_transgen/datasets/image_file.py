"""Image files that a stranger may have made: plain files, of so many pixels, with their names."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from keras_transgen.datasets.printable import printable

if TYPE_CHECKING:
    from PIL.Image import Image

ImageSource = str | os.PathLike[str] | bytes

# 200 MB in colour, for each reader; cameras of 64 million pixels stay below.
MAX_PIXELS = 2**26
# Of these the first frame or page is read. Pillow knows more, some of which start other programs
# (EPS).
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
# Sixteen bits for each of four channels.
_BYTES_PER_PIXEL = 8
# Profiles, previews, and what cameras write.
_METADATA = 2**22
# Cameras write some sixty, within 64 kB.
_MOST_EXIF_ENTRIES, _MOST_EXIF_BYTES = 512, 2**20
# Floats, and integers of 32 or of 16 signed bits.
_RANGELESS = ("F", "I")
# Tags of a TIFF.
_WIDTH, _LENGTH, _TILE_WIDTH, _TILE_LENGTH = 256, 257, 322, 323
# Neither waiting for a pipe's writer, nor changing line ends.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class UnreadableImageError(ValueError):
    """An image cannot be read; `reason` says why, without its name."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"Expected an image that can be read. Received: {name} ({reason})")
        self.reason = reason


def open_plain_file(path: str | os.PathLike[str]) -> io.FileIO:
    """Opens a file for reading, unbuffered, and never waits for one."""
    number = os.open(path, _FLAGS)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError("it is no plain file, but a folder, pipe, socket or device")
    return io.FileIO(number)


@contextmanager
def opened_image(
    source: ImageSource, max_pixels: int = MAX_PIXELS, name: str | None = None
) -> Iterator[Image]:
    """An image whose header is read, and nothing decoded yet.

    What goes wrong in the block is an error of the file too: decoders that meet a damaged or
    hostile one raise whatever comes.

    Args:
        source: A path, or the bytes of a file.
        max_pixels: Most pixels, by the header. Defaults to 67 million (2^26).
        name: What errors call it. Defaults to the path.

    Raises:
        FileNotFoundError: If there is no such file.
        UnreadableImageError: If it is no image, damaged, no plain file, too large, or of numbers
            whose range nobody knows.
    """
    from PIL import Image, UnidentifiedImageError

    named = printable(name or ("an image" if isinstance(source, bytes) else os.fspath(source)))
    try:
        with (
            image_stream(source, max_pixels) as stream,
            Image.open(stream, formats=FORMATS) as image,
        ):
            _refuse_large(image, max_pixels)
            _refuse_rangeless(image)
            yield image
    except FileNotFoundError as error:
        raise FileNotFoundError(f"There is no such image file. Received: {named}") from error
    except UnreadableImageError:
        raise
    except UnidentifiedImageError as error:
        reason = f"it is no {', '.join(FORMATS[:-1])} or {FORMATS[-1]} that can be opened"
        raise UnreadableImageError(named, reason) from error
    except Exception as error:
        reason = printable(error or type(error).__name__)
        raise UnreadableImageError(named, reason) from error


def orientation(image: Image) -> int:
    """How a viewer turns the image, from 1 (not at all) to 8, by its Exif or XMP entry."""
    from PIL import ExifTags

    if not _modest_exif(image.info.get("exif", b"")):
        return 1
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        # What cameras write beside an image may be broken where the image is not.
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def height_and_width(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """The size of an image file as a viewer shows it, by its header."""
    with opened_image(path, max_pixels) as image:
        # Of a TIFF the tags, since the size may be turned already.
        tags: Any = getattr(image, "tag_v2", {})
        width, height = tags.get(_WIDTH, image.width), tags.get(_LENGTH, image.height)
        return (width, height) if orientation(image) > 4 else (height, width)


def image_stream(source: ImageSource, max_pixels: int = MAX_PIXELS) -> IO[bytes]:
    """The bytes of an image, to be read.

    Raises:
        OSError: If it is no plain file.
        ValueError: If it is empty, or longer than so many pixels can take.
    """
    stream: IO[bytes] = (
        io.BytesIO(source)
        if isinstance(source, bytes)
        else io.BufferedReader(open_plain_file(source))
    )
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    if not size:
        stream.close()
        raise ValueError("the file is empty")
    if size > _BYTES_PER_PIXEL * max_pixels + _METADATA:
        stream.close()
        raise ValueError(f"{size:,} bytes, far more than max_pixels={max_pixels:,} take")
    return stream


def _modest_exif(content: bytes) -> bool:
    """Whether so few entries can be read: each may say that all the bytes are its own."""
    content = content.removeprefix(b"Exif\0\0")
    order: Any = "little" if content.startswith(b"II") else "big"
    start = int.from_bytes(content[4:8], order)
    entries = int.from_bytes(content[start : start + 2], order)
    return len(content) <= _MOST_EXIF_BYTES and entries <= _MOST_EXIF_ENTRIES


def _refuse_large(image: Image, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise ValueError(
            f"{image.width} x {image.height} pixels, more than max_pixels={max_pixels:,}"
        )
    tags: Any = getattr(image, "tag_v2", {})
    # A tile is unpacked whole, whatever part of it the image takes.
    tile = tags.get(_TILE_WIDTH, 0) * tags.get(_TILE_LENGTH, 0)
    if tile > max(max_pixels, 2**16):
        raise ValueError(f"tiles of {tile:,} pixels, more than max_pixels={max_pixels:,}")


def _refuse_rangeless(image: Image) -> None:
    # Pillow before 11 gives the 16 bits of a PNG as 32.
    if image.mode in _RANGELESS and image.format != "PNG":
        raise ValueError(
            f"its pixels are {'floats' if image.mode == 'F' else 'signed or 32-bit integers'}, "
            "and no file says which is black and which white: save it with 8 or 16 bits"
        )
