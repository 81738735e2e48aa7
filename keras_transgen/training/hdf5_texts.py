"""How much memory the texts of an HDF5 file take, known before any of them is read.

HDF5 keeps texts of any length in heaps, and in their place a reference: a length, the address of a
heap and a number in it. Each is read whole, and many may lead to the same long text, so that a list
in a small file takes all memory. The library tells their lengths by reading them; the references
themselves can be looked for.
"""

from __future__ import annotations

import itertools
import os

import h5py
import numpy as np

_HEAP = b"GCOL"
_ADDRESS, _LENGTH, _HEADER = 8, 4, 16
# Heaps of a hostile file may lie in each other.
_MOST_OBJECTS = 2_000_000
_CHUNK = 64 * 2**20


def bytes_of_texts(path: str | os.PathLike[str]) -> int:
    """The lengths of all texts that the file refers to, together, each as often as it is.

    Args:
        path: The HDF5 file.

    Raises:
        ValueError: Its addresses are not of the usual kind, or it has more than two million texts.

    Example:
        ```python
        import h5py
        from keras_transgen.training.hdf5_texts import bytes_of_texts

        with h5py.File("names.h5", "w") as file:
            file.attrs["names"] = ["conv", "dense"]
        assert bytes_of_texts("names.h5") == 9
        ```
    """
    with h5py.File(path, "r") as opened:
        sizes = opened.id.get_create_plist().get_sizes()
        if opened.userblock_size or sizes != (_ADDRESS, _ADDRESS):
            raise ValueError(
                "An HDF5 file of Keras has addresses of eight bytes that count from its start. "
                f"Received: {os.fspath(path)} with {sizes[0]} bytes, from {opened.userblock_size}"
            )
    content = np.memmap(path, "uint8", "r")
    starts = range(0, content.size, _CHUNK)
    heaps: dict[int, dict[int, int]] = {}
    left = _MOST_OBJECTS
    for place in itertools.chain.from_iterable(_heaps(content, start) for start in starts):
        heaps[place] = _objects(content, place, left)
        left -= 1 + len(heaps[place])
    addresses = np.array(sorted(heaps), "uint64")
    return sum(_lengths(content, start, addresses, heaps) for start in starts) if heaps else 0


def _heaps(content: np.ndarray, start: int) -> list[int]:
    """Where heaps begin, in one part."""
    part = content[start : start + _CHUNK + len(_HEAP) - 1].tobytes()
    found, place = [], part.find(_HEAP)
    while place >= 0:
        found.append(start + place)
        place = part.find(_HEAP, place + 1)
    return found


def _objects(content: np.ndarray, heap: int, most: int) -> dict[int, int]:
    """The sizes of a heap's objects by their numbers, each of which stands once."""
    sizes: dict[int, int] = {}
    end = min(heap + _number(content, heap + 8, 8), content.size)
    place = heap + _HEADER
    while place + _HEADER <= end:
        number, size = _number(content, place, 2), _number(content, place + 8, 8)
        if number == 0 or number in sizes:
            # The rest is free, or no heap.
            break
        if len(sizes) >= most:
            raise ValueError(
                f"Expected at most {_MOST_OBJECTS:,} texts in an HDF5 file. Received: one with more"
            )
        sizes[number] = size
        place += _HEADER + -(-size // 8) * 8
    return sizes


def _lengths(
    content: np.ndarray, start: int, addresses: np.ndarray, heaps: dict[int, dict[int, int]]
) -> int:
    """The lengths in the references that have their address in one part.

    HDF5 refuses one whose length is not that of what it leads to.
    """
    part = np.asarray(content[start : start + _CHUNK + _ADDRESS - 1])
    total = 0
    for shift in range(_ADDRESS):
        words = part[shift : shift + (part.size - shift) // _ADDRESS * _ADDRESS].view("<u8")
        for word in np.flatnonzero(np.isin(words, addresses)):
            place = start + shift + int(word) * _ADDRESS
            length = _number(content, place - _LENGTH, _LENGTH) if place >= _LENGTH else 0
            number = _number(content, place + _ADDRESS, _LENGTH)
            if length and heaps[int(words[word])].get(number) == length:
                total += length
    return total


def _number(content: np.ndarray, place: int, size: int) -> int:
    return int.from_bytes(content[place : place + size].tobytes(), "little")
