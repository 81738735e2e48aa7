"""Damage in the middle of a JPEG, which decoders pass over in silence.

The compressed pixels stand in segments between markers. Decoders fill with grey what is missing,
and skip what is left over, so that an image comes out in either case; here both are noticed.
"""

from __future__ import annotations

import io
import re

import numpy as np

_SEGMENT_END = re.compile(rb"\xff+[^\x00\xff]")
_START_OF_SCAN, _END = 0xDA, 0xD9
_RESTARTS = range(0xD0, 0xD8)
# Without a length: an escaped byte, TEM, restarts and another beginning.
_ALONE = {0x00, 0x01, 0xD8, *_RESTARTS}
# What may follow compressed pixels: tables, another scan, comments, the end.
_FOLLOWING = {0xC4, _START_OF_SCAN, 0xDB, 0xDC, 0xDD, 0xFE, _END, *range(0xE0, 0xF0)}
# Nothing that a decoder could take for a marker.
_MORE = bytes(range(1, 192, 12))
# More than the few bytes by which cameras fill up.
_LAST_BYTES = 32
_MOST_SEGMENTS = 2**16
# What is coded together, at most.
_BLOCK = 16


def jpeg_damage(content: bytes) -> str:
    """What is wrong with the compressed pixels of a JPEG, or an empty string.

    Found are markers that cannot stand where they do, restart markers out of order, an end that is
    missing, pixels for which there are no data, and (of files of one segment, which most are) data
    for which there are no pixels, unless the image ends in an even area. Not found is damage after
    which as many pixels come out as there should be: bits that changed within numbers of the same
    length.
    """
    try:
        ends = _segment_ends(content)
    except IndexError:
        return "damaged: it has no end"
    except ValueError as error:
        return f"damaged: {error}"
    if len(ends) > _MOST_SEGMENTS:
        return ""
    pixels = _pixels(content)
    if pixels is None:
        return "damaged: it cannot be decoded"
    parts = [content[start:end] for start, end in zip([0, *ends], [*ends, len(content)])]
    if _differ(_pixels(_MORE.join(parts)), pixels):
        return "damaged: there are too few data for its pixels"
    if len(ends) == 1 and _last_bytes_are_unused(content, ends[0], pixels):
        return "damaged: there are too many data for its pixels"
    return ""


def _segment_ends(content: bytes) -> list[int]:
    """Where segments of compressed pixels end, at a marker."""
    ends: list[int] = []
    place = 2
    while True:
        marker = content[place + 1]
        if content[place] != 0xFF:
            # Decoders look for the next marker.
            place = content.index(b"\xff", place)
        elif marker == 0xFF:
            place += 1
        elif marker == _END:
            return ends
        elif marker in _ALONE:
            place += 2
        else:
            place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")
            if marker == _START_OF_SCAN:
                place = _scan_end(content, place, ends)


def _scan_end(content: bytes, place: int, ends: list[int]) -> int:
    """Where the marker after a scan stands; the ends of its segments are added to `ends`."""
    restarts = 0
    while found := _SEGMENT_END.search(content, place):
        marker = content[found.end() - 1]
        ends.append(found.start())
        if marker in _RESTARTS:
            if marker != _RESTARTS[restarts % 8]:
                raise ValueError("its restart markers are not in order")
            restarts += 1
            place = found.end()
        elif marker in _FOLLOWING:
            return found.end() - 2
        else:
            raise ValueError(f"the marker {marker:02X} stands among its pixels")
    raise IndexError


def _last_bytes_are_unused(content: bytes, end: int, pixels: np.ndarray) -> bool:
    start = end - _LAST_BYTES
    # The data must begin before, and a byte after 255 is an escape.
    if content.rfind(b"\xff\xda", 0, end) + 3 * _LAST_BYTES > end or content[start - 1] == 0xFF:
        return False
    # An even area may stay as it is whatever the data are.
    if not np.ptp(pixels[-_BLOCK:, -_BLOCK:], axis=(0, 1)).any():
        return False
    others = bytes(byte ^ 0x55 for byte in content[start:end]).replace(b"\xff", b"\xfe")
    changed = _pixels(content[:start] + others + content[end:])
    return changed is not None and not _differ(changed, pixels)


def _differ(one: np.ndarray | None, other: np.ndarray) -> bool:
    return one is not None and not np.array_equal(one, other)


def _pixels(content: bytes) -> np.ndarray | None:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
            return np.asarray(image)
    except OSError:
        return None
