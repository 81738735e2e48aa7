"""Plain JPEGs, told by their first and last bytes: most photographs, and the quickest to read.

TensorFlow decodes them as a viewer shows them; of everything else it may not, or not at all, and it
does not say which file it could not decode.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

# Cameras' entries, a preview and a profile come before the pixels.
HEAD_BYTES = 2**17
# A few bytes may follow the end.
TAIL_BYTES = 64
_BEGINNING, _END = b"\xff\xd8\xff", b"\xff\xd9"
_HUFFMAN, _QUANTIZATION, _RESTARTS, _SCAN, _NOTES = 0xC4, 0xDB, 0xDD, 0xDA, 0xE1
_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), 0xC2
# Comments and what applications write.
_PASSED_OVER = {0xFE, *range(0xE0, 0xF0)}
_AC = 16
# What is coded together, of all components.
_MOST_BLOCKS = 10


@dataclass(frozen=True)
class JpegHeader:
    """What the header of a plain JPEG says.

    Attributes:
        height: In pixels.
        width: In pixels.
        noted: Whether it has Exif or XMP, and may be turned by a viewer.
    """

    height: int
    width: int
    noted: bool

    @property
    def pixels(self) -> int:
        """How many it has."""
        return self.height * self.width


def plain_jpeg(head: bytes, tail: bytes) -> JpegHeader | None:
    """The header of a whole JPEG of 8 bits, grey or in colour; `None` for everything else.

    One with anything unusual in its header, or a table that no decoder would take, counts as
    something else.

    Args:
        head: Its first bytes, `HEAD_BYTES` of them or all.
        tail: Its last `TAIL_BYTES`.
    """
    if not head.startswith(_BEGINNING) or _END not in tail:
        return None
    try:
        return _header(head)
    except (IndexError, ValueError):
        return None


def _header(head: bytes) -> JpegHeader:
    frame, progressive, noted = b"", False, False
    huffman: set[int] = set()
    quantization: set[int] = set()
    place = 2
    while True:
        marker, length = head[place + 1], int.from_bytes(head[place + 2 : place + 4], "big")
        payload = head[place + 4 : place + 2 + length]
        _hold(head[place] == 0xFF and len(payload) == length - 2)
        if marker == _SCAN:
            break
        if marker == _HUFFMAN:
            huffman |= _huffman_tables(payload)
        elif marker == _QUANTIZATION:
            quantization |= _quantization_tables(payload)
        elif marker in (*_SEQUENTIAL, _PROGRESSIVE):
            _hold(not frame)
            frame, progressive = payload, marker == _PROGRESSIVE
        else:
            _hold(marker in _PASSED_OVER or (marker == _RESTARTS and length == 4))
        noted |= marker == _NOTES
        place += 2 + length
    components = _components(frame, quantization)
    _check_scan(payload, components, huffman, progressive)
    height, width = (int.from_bytes(frame[at : at + 2], "big") for at in (1, 3))
    _hold(height > 0 and width > 0)
    return JpegHeader(height, width, noted)


def _hold(condition: bool) -> None:
    if not condition:
        raise ValueError("no plain JPEG")


# Most files have the tables of the standard.
@lru_cache(maxsize=256)
def _huffman_tables(payload: bytes) -> frozenset[int]:
    """Their numbers: 0 to 3, and 16 more for those of AC coefficients."""
    found = set()
    while payload:
        number, counts = payload[0], payload[1:17]
        symbols = payload[17 : 17 + sum(counts)]
        _hold(number & ~_AC < 4 and len(counts) == 16 and len(symbols) == sum(counts) <= 256)
        _hold(number >= _AC or max(symbols, default=0) < 16)
        code = 0
        for bits, count in enumerate(counts, start=1):
            code = 2 * code + count
            # No code is all ones.
            _hold(not count or code < 2**bits)
        found.add(number)
        payload = payload[17 + len(symbols) :]
    return frozenset(found)


def _quantization_tables(payload: bytes) -> set[int]:
    found = set()
    while payload:
        number, size = payload[0] % 16, 1 + 64 * (1 + payload[0] // 16)
        _hold(payload[0] < 32 and number < 4 and len(payload) >= size)
        found.add(number)
        payload = payload[size:]
    return found


def _components(frame: bytes, quantization: set[int]) -> list[int]:
    """Their names, in order."""
    count = frame[5]
    _hold(frame[0] == 8 and count in (1, 3) and len(frame) == 6 + 3 * count)
    sampling = [divmod(each, 16) for each in frame[7::3]]
    _hold(all(each in (1, 2, 4) for pair in sampling for each in pair))
    _hold(sum(across * down for across, down in sampling) <= _MOST_BLOCKS)
    _hold(quantization.issuperset(frame[8::3]))
    return list(frame[6::3])


def _check_scan(scan: bytes, components: list[int], huffman: set[int], progressive: bool) -> None:
    count = len(components)
    _hold(len(scan) == 4 + 2 * count and scan[0] == count and len(set(components)) == count)
    _hold(list(scan[1 : 1 + 2 * count : 2]) == components)
    tables = [divmod(each, 16) for each in scan[2 : 2 + 2 * count : 2]]
    _hold(huffman.issuperset(direct for direct, _ in tables))
    if progressive:
        _hold(scan[-3:-1] == b"\0\0" and scan[-1] < 14)
    else:
        _hold(scan[-3:] == b"\0\x3f\0" and huffman.issuperset(_AC + other for _, other in tables))
