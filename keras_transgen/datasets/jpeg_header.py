"""Plain JPEGs, told by their first and last bytes: most photographs, and the quickest to read.

TensorFlow decodes them as a viewer shows them; of everything else it may not, or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass

# Cameras' entries, a preview and a profile come before the pixels.
HEAD_BYTES = 2**17
# A few bytes may follow the end.
TAIL_BYTES = 64
_BEGINNING, _END = b"\xff\xd8\xff", b"\xff\xd9"
_FRAMES = (0xC0, 0xC1, 0xC2)
_EXIF_OR_XMP, _START_OF_SCAN = 0xE1, 0xDA
# Tables, restart interval, comments and what applications write.
_OTHERS = {0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)}


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

    One with anything unusual in its header counts as something else.

    Args:
        head: Its first bytes, `HEAD_BYTES` of them or all.
        tail: Its last `TAIL_BYTES`.
    """
    if not head.startswith(_BEGINNING) or _END not in tail:
        return None
    place, size, noted = 2, None, False
    while head[place : place + 1] == b"\xff" and place + 9 < len(head):
        marker = head[place + 1]
        length = int.from_bytes(head[place + 2 : place + 4], "big")
        if marker == _START_OF_SCAN:
            return None if size is None else JpegHeader(*size, noted)
        if marker in _FRAMES and size is None and head[place + 4] == 8:
            size = (
                int.from_bytes(head[place + 5 : place + 7], "big"),
                int.from_bytes(head[place + 7 : place + 9], "big"),
            )
            if 0 in size or head[place + 9] not in (1, 3):
                return None
        elif marker not in _OTHERS or length < 2:
            return None
        noted |= marker == _EXIF_OR_XMP
        place += 2 + length
    return None
