"""How many pixels an image has, by its header: before anything is decoded.

A few kilobytes of PNG can hold a hundred million pixels, and a GIF any number of frames. The
decoders take memory for what a header says, in each of the readers that work side by side.
"""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf

# 200 MB in colour, for each reader; cameras of 64 million pixels stay below.
MAX_PIXELS = 2**26
# TensorFlow's decoder keeps every frame of a GIF, a byte a pixel, where three stand for colours.
_GIF_SHARE = 3
# What a reader of headers reads first; cameras' come before it, and often the size.
HEAD_BYTES = 4096
# Sixteen bits for each of four channels.
_BYTES_PER_PIXEL = 8
# Profiles, previews, and what cameras write.
_METADATA = 2**22
_HEAD = 32
# Pixels of an image that does not say them.
_UNKNOWN = 2**60
_MARKS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"RIFF")
_JPEG_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_JPEG_ALONE = {0x01, *range(0xD0, 0xD9)}
# The end, and the first scan, which a frame header must come before.
_JPEG_ENDS = {0xD9, 0xDA}
_GIF_EXTENSION, _GIF_FRAME = 0x21, 0x2C


def too_many_pixels(head: bytes, stream: IO[bytes], max_pixels: int) -> str:
    """What to say of an image that is too large, or an empty string."""
    size = os.fstat(stream.fileno()).st_size
    if size > _BYTES_PER_PIXEL * max_pixels + _METADATA:
        return f"{size:,} bytes, far more than max_pixels={max_pixels:,} take"
    found = _size(head, stream)
    if found is None:
        return "" if _format(head) is None else "a header that does not say how many pixels it has"
    height, width = found
    if height * width > max_pixels:
        return f"{width} x {height} pixels, more than max_pixels={max_pixels:,}"
    if head.startswith(b"GIF8"):
        stream.seek(0)
        if _gif_pixels(stream.read()) > _GIF_SHARE * max_pixels:
            return f"frames of more than {_GIF_SHARE} * max_pixels={max_pixels:,} pixels together"
    return ""


def height_and_width(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """The size of an image by its header; `None` where that does not say it."""
    with open(path, "rb") as stream:
        return _size(stream.read(HEAD_BYTES), stream)


def checked_pixels(content: tf.Tensor, max_pixels: int, name: Any = "an image") -> tf.Tensor:
    """The bytes of an image, once its header says that it has no more than so many pixels."""
    import tensorflow as tf

    # A short file is padded, and says what it cannot be further on.
    head = tf.strings.substr(tf.strings.substr(content, 0, _HEAD) + "\0" * _HEAD, 0, _HEAD)
    pixels = tf.cond(
        tf.strings.substr(head, 0, 3) == b"\xff\xd8\xff",
        lambda: tf.reduce_prod(tf.image.extract_jpeg_shape(content, tf.int64)[:2]),
        lambda: _pixels_of_others(head),
    )
    message = (
        f"Expected images of at most {max_pixels} pixels. Raise max_pixels, or make it smaller."
    )
    # Not tf.debugging.Assert, which branches once more for each image.
    check = tf.raw_ops.Assert(
        condition=pixels <= max_pixels, data=[message, "Received:", name, pixels], summarize=1
    )
    with tf.control_dependencies([] if check is None else [check]):
        return tf.identity(content)


def _pixels_of_others(head: tf.Tensor) -> tf.Tensor:
    """From the first bytes of an image that is no JPEG; 0 where no decoder would take it."""
    import tensorflow as tf

    byte = tf.cast(tf.io.decode_raw(head, tf.uint8), tf.int64)

    def number(*places: int) -> tf.Tensor:
        return tf.add_n([byte[place] * 256**power for power, place in enumerate(places)])

    lossless = number(21, 22, 23, 24)
    # Negative where rows go from top to bottom.
    rows = number(22, 23, 24, 25)
    pixels = {
        (b"IHDR", 12): number(19, 18, 17, 16) * number(23, 22, 21, 20),
        (b"GIF8", 0): number(6, 7) * number(8, 9),
        (b"BM", 0): number(18, 19, 20, 21) * tf.minimum(rows, 2**32 - rows),
        (b"VP8X", 12): (number(24, 25, 26) + 1) * (number(27, 28, 29) + 1),
        (b"VP8L", 12): (lossless % 2**14 + 1) * (lossless // 2**14 % 2**14 + 1),
        (b"VP8 ", 12): (number(26, 27) % 2**14) * (number(28, 29) % 2**14),
    }
    found = [
        tf.where(tf.strings.substr(head, place, len(mark)) == mark, count, 0)
        for (mark, place), count in pixels.items()
    ]
    # A size that is not where it should be is no small one.
    unknown = [
        tf.where(
            tf.logical_and(
                tf.strings.substr(head, 0, 4) == mark,
                tf.reduce_all([tf.strings.substr(head, 12, 4) != each for each in sizes]),
            ),
            _UNKNOWN,
            0,
        )
        for mark, sizes in {
            b"\x89PNG": (b"IHDR",),
            b"RIFF": (b"VP8X", b"VP8L", b"VP8 "),
        }.items()
    ]
    return tf.add_n(found + unknown)


def _format(head: bytes) -> bytes | None:
    """The mark of the format whose decoder would take a file, if it is one of these."""
    return next((mark for mark in _MARKS if head.startswith(mark)), None)


def _size(head: bytes, stream: IO[bytes]) -> tuple[int, int] | None:
    """Height and width, where a decoder of these formats would look for them."""

    def number(start: int, end: int, order: Any = "little") -> int:
        return int.from_bytes(head[start:end], order)

    if head.startswith(b"\xff\xd8\xff"):
        return _jpeg_size(head, stream)
    if head.startswith(b"\x89PNG"):
        # What else may come first, a decoder passes over.
        return (number(20, 24, "big"), number(16, 20, "big")) if head[12:16] == b"IHDR" else None
    if head.startswith(b"GIF8"):
        return number(8, 10), number(6, 8)
    if head.startswith(b"BM"):
        return abs(int.from_bytes(head[22:26], "little", signed=True)), number(18, 22)
    if head[12:16] == b"VP8X":
        return number(27, 30) + 1, number(24, 27) + 1
    if head[12:16] == b"VP8L":
        both = number(21, 25)
        return both // 2**14 % 2**14 + 1, both % 2**14 + 1
    if head[12:16] == b"VP8 ":
        return number(28, 30) % 2**14, number(26, 28) % 2**14
    return None


def _jpeg_size(head: bytes, stream: IO[bytes]) -> tuple[int, int] | None:
    """From the first frame header; what stands between segments is passed over, as by libjpeg."""
    start, place = 0, 2
    while True:
        if place + 9 > start + len(head):
            start = place
            stream.seek(place)
            head = stream.read(HEAD_BYTES)
            if len(head) < 9:
                return None
        at = place - start
        mark = head[at + 1]
        if head[at] != 0xFF:
            following = head.find(b"\xff", at)
            place = start + (len(head) if following < 0 else following)
        elif mark in _JPEG_SIZES:
            return (
                int.from_bytes(head[at + 5 : at + 7], "big"),
                int.from_bytes(head[at + 7 : at + 9], "big"),
            )
        elif mark == 0xFF:
            place += 1
        elif mark == 0 or mark in _JPEG_ALONE:
            place += 2
        else:
            length = int.from_bytes(head[at + 2 : at + 4], "big")
            if length < 2 or mark in _JPEG_ENDS:
                return None
            place += 2 + length


def _gif_pixels(content: bytes) -> int:
    """The pixels of all frames."""
    total, place, end = 0, 13, len(content)
    if end > 10:
        place += _color_table(content[10])
    while place + 10 < end and content[place] in (_GIF_EXTENSION, _GIF_FRAME):
        if content[place] == _GIF_FRAME:
            width, height = (
                int.from_bytes(content[place + at : place + at + 2], "little") for at in (5, 7)
            )
            total += width * height
            place += 11 + _color_table(content[place + 9])
        else:
            place += 2
        while place < end and content[place]:
            place += 1 + content[place]
        place += 1
    return total


def _color_table(flags: int) -> int:
    return 3 * 2 ** (flags % 8 + 1) if flags & 0x80 else 0
