"""A weight file held against what a weight file is, before a number of it is read.

HDF5 files can do more than hold numbers: links and data sets lead into any other file that the
process may read, and a data set of a hundred bytes can be as large as memory. Weight files of Keras
hold groups and plain data sets, and nothing else.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import h5py

from keras_transgen.training.zip_limits import check_members

_MOST_OBJECTS, _DEEPEST = 200_000, 200
_LONGEST_MAP = 64 * 2**20
# What Keras writes is not compressed, so that values take as much memory as file.
_RATIO, _SLACK = 4, 16 * 2**20
_MOST_MEMBERS = 10_000
_CHUNK = 2**20

WEIGHTS = "model.weights.h5"


class WeightFileError(ValueError):
    """A weight file that leads elsewhere, or says more than it holds."""


def check_weight_file(file: str | os.PathLike[str] | Any, name: str, size: int) -> int:
    """Refuse an HDF5 file that is more than groups of numbers.

    Args:
        file: Its path, or a stream that is open for reading.
        name: What messages call it.
        size: Its bytes.

    Returns:
        How many groups and data sets it holds.

    Raises:
        WeightFileError: It holds a link to another place or file, a data set whose values lie
            elsewhere or take more than four times the file, or a group within itself; or it is no
            HDF5 file.

    Example:
        ```python
        import os
        import keras
        from keras_transgen.training.weight_file import check_weight_file

        path = "/tmp/example.weights.h5"
        keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save_weights(path)
        check_weight_file(path, "example.weights.h5", os.path.getsize(path))
        ```
    """
    try:
        with h5py.File(file, "r") as opened:
            return _check_groups(opened, name, _RATIO * size + _SLACK)
    except (OSError, RuntimeError, KeyError, TypeError) as error:
        raise WeightFileError(
            "The weights are no whole HDF5 file. Copy or download the file again. "
            f"Received: {name} of {size:,} bytes ({type(error).__name__}: {error!s:.120})"
        ) from None


def check_weights_in(archive: zipfile.ZipFile) -> int:
    """Refuse the weights in a `.keras` file whose directory was checked before.

    Args:
        archive: The file, open for reading.

    Returns:
        How many groups and data sets they are.

    Raises:
        WeightFileError: As in `check_weight_file`.
    """
    member = archive.getinfo(WEIGHTS)
    with archive.open(member) as stream:
        if member.compress_type == zipfile.ZIP_STORED:
            return check_weight_file(stream, WEIGHTS, member.file_size)
        # Going back in a compressed stream unpacks it from its start, each time.
        with tempfile.TemporaryFile() as unpacked:
            while part := stream.read(_CHUNK):
                unpacked.write(part)
            unpacked.seek(0)
            return check_weight_file(unpacked, WEIGHTS, member.file_size)


def check_weights_at(path: Any) -> None:
    """Refuse a weight file that a model's `load_weights` is asked for, if it is there.

    Args:
        path: What the user gave: `.weights.h5`, `.h5`, `.keras`, or `.weights.json` and the shards
            that it lists.

    Raises:
        WeightFileError: As in `check_weight_file`; or shards lie in another folder.
    """
    place = Path(os.fspath(path))
    if not place.is_file():
        # Keras says so, in its own words.
        return
    if place.suffix in (".h5", ".hdf5"):
        check_weight_file(place, place.name, place.stat().st_size)
    if place.suffix == ".keras" and zipfile.is_zipfile(place):
        check_members(place, _MOST_MEMBERS)
        with zipfile.ZipFile(place) as archive:
            if WEIGHTS in archive.namelist():
                check_weights_in(archive)
    if place.suffix == ".json":
        for shard in _shards(place):
            check_weights_at(shard)


def _shards(place: Path) -> list[Path]:
    try:
        if place.stat().st_size > _LONGEST_MAP:
            raise ValueError("it is too long")
        found = json.loads(place.read_text())["weight_map"].values()
        names = {name for given in found for name in ([given] if isinstance(given, str) else given)}
        if any(Path(name).name != name for name in names):
            raise ValueError("a shard lies in another folder")
        return [place.with_name(name) for name in sorted(names)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightFileError(
            "A .weights.json file lists its shards, which lie beside it. "
            f"Received: {place.name} ({type(error).__name__}: {error!s:.120})"
        ) from None


def _check_groups(root: h5py.File, name: str, limit: int) -> int:
    waiting: list[tuple[Any, tuple[int, ...]]] = [(root, (_place(root),))]
    seen = 0
    while waiting:
        group, above = waiting.pop()
        for key in group:
            seen += 1
            if seen > _MOST_OBJECTS:
                raise WeightFileError(
                    f"Expected at most {_MOST_OBJECTS:,} weights. Received: {name} with more"
                )
            link = group.get(key, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise WeightFileError(
                    "A weight file holds its weights and leads to no other place. "
                    f"Received: {name} with a {type(link).__name__} at {key!r:.80}"
                )
            found = group[key]
            if isinstance(found, h5py.Group):
                if _place(found) in above or len(above) > _DEEPEST:
                    raise WeightFileError(
                        f"Groups of a weight file lie in another, {_DEEPEST} at most, and none in "
                        f"itself. Received: {name} with others, at {key!r:.80}"
                    )
                waiting.append((found, (*above, _place(found))))
            elif isinstance(found, h5py.Dataset):
                limit -= _checked_size(found, name, key)
                if limit < 0:
                    raise WeightFileError(
                        "The values of a weight file take no more memory than the file, four times "
                        f"at most. Received: {name} with more, up to {key!r:.80}"
                    )
    return seen


def _place(group: h5py.Group) -> int:
    return h5py.h5o.get_info(group.id).addr


def _checked_size(found: h5py.Dataset, name: str, key: str) -> int:
    if found.external or found.is_virtual:
        raise WeightFileError(
            "A weight file holds its values itself. "
            f"Received: {name} with values of {key!r:.80} in another file"
        )
    if found.dtype.kind == "O":
        raise WeightFileError(
            f"A weight file holds numbers. Received: {name} with {key!r:.80} of {found.dtype}"
        )
    return math.prod(found.shape or ()) * found.dtype.itemsize
