"""Image files that a stranger may have made: plain files, of so many pixels, with their names."""

from __future__ import annotations

import io
import os
import stat
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from keras_transgen.datasets.image_size import HEAD_BYTES, MAX_PIXELS, too_many_pixels
from keras_transgen.datasets.printable import printable

if TYPE_CHECKING:
    from PIL.Image import Image

# Pillow knows more, some of which start other programs (EPS).
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
# Neither waiting for a pipe's writer, nor changing line ends.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def is_special_file(path: str | os.PathLike[str]) -> bool:
    """Whether a path leads to a pipe, socket or device, which may never end or begin."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def open_plain_file(path: str | os.PathLike[str]) -> io.FileIO:
    """Opens a file for reading, unbuffered, and never waits for one."""
    file = io.FileIO(os.open(path, _FLAGS))
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError("it is no plain file, but a pipe, socket or device")
    return file


def read_picture(path: str | Path, max_pixels: int = MAX_PIXELS) -> Image:
    """An image as Pillow reads it.

    Args:
        path: The file.
        max_pixels: Most pixels; more are refused by the header, before they are decoded.
            Defaults to 67 million (2^26).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no image, damaged, no plain file, or too large.
    """
    from PIL import Image, UnidentifiedImageError

    if not os.path.exists(path) or os.path.isdir(path):
        raise FileNotFoundError(f"There is no such image file. Received: {printable(path)}")
    try:
        with open_plain_file(path) as file:
            reason = too_many_pixels(file.read(HEAD_BYTES), file, max_pixels)
            if reason:
                raise ValueError(reason)
            file.seek(0)
            with Image.open(io.BufferedReader(file), formats=_FORMATS) as image:
                if image.width * image.height > max_pixels:
                    raise ValueError(f"{image.width} x {image.height} pixels")
                image.load()
                return image
    except UnidentifiedImageError as error:
        raise ValueError(
            f"This file is no image that Pillow reads. Received: {printable(path)}"
        ) from error
    except (
        ValueError,
        OSError,
        SyntaxError,
        EOFError,
        struct.error,
        zlib.error,
        Image.DecompressionBombError,
    ) as error:
        raise ValueError(
            f"Expected an image that can be read. Received: {printable(path)} ({printable(error)})"
        ) from error
