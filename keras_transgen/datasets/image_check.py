"""Find the images that cannot be read, by name, before a training run meets them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import IO

from keras_transgen.datasets.image_file import (
    MAX_PIXELS,
    ImageSource,
    UnreadableImageError,
    image_stream,
    opened_image,
    orientation,
)
from keras_transgen.datasets.jpeg_header import HEAD_BYTES, TAIL_BYTES, plain_jpeg
from keras_transgen.datasets.jpeg_scan import jpeg_damage
from keras_transgen.datasets.printable import printable
from keras_transgen.datasets.viewed_image import read_image

# What a whole file of each format has in so many of its last bytes.
_TAILS = {"JPEG": (b"\xff\xd9", TAIL_BYTES), "PNG": (b"IEND", TAIL_BYTES), "GIF": (b"\x3b", 1)}


@dataclass(frozen=True)
class Look:
    """What a look at a file has shown.

    Attributes:
        reason: Why it cannot be read; empty if it can.
        plain: Whether TensorFlow reads it as it is shown: a whole JPEG, grey or in colour, that
            no viewer turns.
    """

    reason: str
    plain: bool = False


def unreadable_images(
    paths: Iterable[str], thorough: bool = True, max_pixels: int = MAX_PIXELS
) -> dict[str, str]:
    """The images among `paths` that cannot be read, with the reason of each.

    Args:
        paths: Image files.
        thorough: `True`, the default, decodes every file, and looks for damage among the pixels
            of a JPEG. Not found is damage after which a JPEG still has as many pixels as it
            should, such as single bits that changed; formats with checksums (PNG) have no such
            gap. `False` reads the header and the last bytes of each and decodes those that
            look broken: this finds empty and truncated files and files that are no images, at a
            fraction of the cost.
        max_pixels: Images of more pixels, by their header, are not decoded and count as
            unreadable. Defaults to 67 million (2^26).

    Returns:
        A dictionary from path to reason, empty if all are readable.

    Example:
        ```python no-run
        from keras_transgen.datasets import index_images, unreadable_images

        broken = unreadable_images(index_images("photos", labelled=False).paths)
        ```
    """
    if isinstance(paths, str | os.PathLike):
        raise ValueError(
            "Expected several paths: index_images(folder, labelled=False).paths lists a folder's. "
            f"Received: {printable(paths)}"
        )
    names = list(paths)
    looks = look_at_images(names, thorough, max_pixels)
    return {name: look.reason for name, look in zip(names, looks) if look.reason}


def look_at_images(
    sources: Sequence[ImageSource], thorough: bool = False, max_pixels: int = MAX_PIXELS
) -> list[Look]:
    """A look at each of them, several at a time."""
    look = partial(_look, thorough=thorough, max_pixels=max_pixels)
    with ThreadPoolExecutor(min(32, 4 * (os.cpu_count() or 1))) as pool:
        return list(pool.map(look, sources))


def is_plain(content: bytes, max_pixels: int = MAX_PIXELS) -> bool:
    """Whether TensorFlow reads these bytes of a file as a viewer does, without asking Pillow."""
    header = plain_jpeg(content[:HEAD_BYTES], content[-TAIL_BYTES:])
    return header is not None and not header.noted and header.pixels <= max_pixels


def _look(source: ImageSource, thorough: bool, max_pixels: int) -> Look:
    try:
        with image_stream(source, max_pixels) as stream:
            head, tail = stream.read(HEAD_BYTES), _tail(stream)
        header = plain_jpeg(head, tail)
        fits = header is not None and header.pixels <= max_pixels
        if header is not None and fits and not header.noted and not thorough:
            return Look("", plain=True)
        with opened_image(source, max_pixels) as image:
            plain = fits and orientation(image) == 1
            kind = "JPEG" if image.format == "MPO" else str(image.format)
        # A JPEG with an unusual header is decoded.
        if not thorough and (_looks_whole(kind, tail) if kind != "JPEG" else header is not None):
            return Look("", plain)
        read_image(source, max_pixels=max_pixels)
        if kind != "JPEG":
            return Look("")
        with image_stream(source, max_pixels) as stream:
            return Look(jpeg_damage(stream.read()), plain)
    except UnreadableImageError as error:
        return Look(error.reason)
    except (OSError, ValueError) as error:
        return Look(printable(error))


def _tail(stream: IO[bytes]) -> bytes:
    stream.seek(-min(TAIL_BYTES, stream.seek(0, os.SEEK_END)), os.SEEK_END)
    return stream.read()


def _looks_whole(kind: str, tail: bytes) -> bool:
    mark, last_bytes = _TAILS.get(kind, (b"", 0))
    return last_bytes > 0 and mark in tail[-last_bytes:]
