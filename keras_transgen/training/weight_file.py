"""A weight file held against what a weight file is, before a number of it is read.

HDF5 files can do more than hold numbers: links and data sets lead into any other file that the
process may read, and a data set of a hundred bytes can be as large as memory. Weight files of Keras
hold groups and plain data sets of numbers, and nothing else.
"""

from __future__ import annotations

import json
import math
import os
import stat
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import h5py

from keras_transgen.datasets.printable import printable
from keras_transgen.training.zip_limits import check_members

_MOST_OBJECTS, _DEEPEST = 200_000, 200
_LONGEST_MAP = 64 * 2**20
# What Keras writes is not compressed, so that values take as much memory as file.
_RATIO, _SLACK = 4, 16 * 2**20
_MOST_MEMBERS = 10_000
_CHUNK = 2**20
_MOST_ATTRIBUTES = 100
# Booleans, integers, floats and pairs of floats. Types made of others can hold text of any length.
_NUMBERS = "biufc"
# Keras writes bfloat16, float8 and integers of four bits as bytes without a meaning.
_OPAQUE_BYTES = (1, 2)
_H5_NAMES = (".h5", ".hdf5")

WEIGHTS = "model.weights.h5"


class WeightFileError(ValueError):
    """A weight file that leads elsewhere, or says more than it holds."""


def check_weight_file(
    file: str | os.PathLike[str] | Any, name: str, size: int, lists_of_texts: bool = False
) -> int:
    """Refuse an HDF5 file that is more than groups of numbers; count its groups and weights.

    Args:
        file: Its path, or itself open for reading.
        name: What to call it in messages.
        size: Its bytes.
        lists_of_texts: Whether there may be lists of texts of any length, as in files of Keras 2,
            of which the caller knows what they take (`training.hdf5_texts`). Defaults to False.

    Raises:
        WeightFileError: It holds a link to another place or file, a data set whose values lie
            elsewhere, are no numbers or take more than four times the file, or a group within
            itself; or it is no HDF5 file.
    """
    try:
        with h5py.File(file, "r") as opened:
            return _check_groups(opened, name, _RATIO * size + _SLACK, lists_of_texts)
    except WeightFileError:
        raise
    except Exception as error:
        # HDF5 and what stands on it say in many ways that a file is damaged.
        raise WeightFileError(
            "The weights are no whole HDF5 file. Copy or download the file again. Received: "
            f"{name} of {size:,} bytes ({type(error).__name__}: {printable(error, 120)})"
        ) from None


def check_weights_in(archive: zipfile.ZipFile) -> int:
    """Refuse the weights in a `.keras` file whose directory was checked before."""
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
    """
    place = Path(os.fspath(path))
    if not place.is_file():
        # Keras says so, in its own words.
        return
    if place.suffix in _H5_NAMES:
        check_weight_file(place, place.name, place.stat().st_size)
    elif place.suffix == ".keras":
        _check_keras_file(place)
    elif place.suffix == ".json":
        # What each of them is called says nothing about how it is read.
        for shard in _shards(place):
            check_weight_file(shard, shard.name, shard.stat().st_size)
    else:
        raise WeightFileError(
            "Weights are loaded from a file whose name ends in .weights.h5, .keras or "
            f".weights.json. Received: {printable(place.name)!r}"
        )


def _check_keras_file(place: Path) -> None:
    if not zipfile.is_zipfile(place):
        raise WeightFileError(
            "This is no .keras archive. Copy or download the file again. "
            f"Received: {place.name!r} of {place.stat().st_size:,} bytes"
        )
    check_members(place, _MOST_MEMBERS)
    with zipfile.ZipFile(place) as archive:
        if WEIGHTS not in archive.namelist():
            raise WeightFileError(
                f"A .keras file holds its weights as {WEIGHTS}. Save the model again. "
                f"Received: {place.name!r} without"
            )
        check_weights_in(archive)


def _shards(place: Path) -> list[Path]:
    try:
        if place.stat().st_size > _LONGEST_MAP:
            raise ValueError("it is too long")
        found = json.loads(place.read_text())["weight_map"].values()
        names = {name for given in found for name in ([given] if isinstance(given, str) else given)}
        # Keras opens it first, whatever the list says.
        names.add(f"{place.stem.replace('.weights', '')}_00000.weights.h5")
        if any(Path(name).name != name for name in names):
            raise ValueError("a shard lies in another folder")
        shards = [place.with_name(name) for name in sorted(names)]
        for shard in shards:
            if not stat.S_ISREG(os.lstat(shard).st_mode):
                raise ValueError(f"{shard.name!r:.80} is no plain file")
        return shards
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError) as error:
        raise WeightFileError(
            "A .weights.json file lists its shards, plain files which lie beside it. "
            f"Received: {place.name} ({type(error).__name__}: {printable(error, 120)})"
        ) from None


def _check_groups(root: h5py.File, name: str, limit: int, lists_of_texts: bool) -> int:
    waiting: list[tuple[Any, tuple[int, ...]]] = [(root, (_place(root),))]
    seen = 0
    limit -= _checked_attributes(root, name, "/", lists_of_texts)
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
            if not isinstance(found, (h5py.Group, h5py.Dataset)):
                raise WeightFileError(
                    "A weight file holds groups and numbers. "
                    f"Received: {name} with a {type(found).__name__} at {key!r:.80}"
                )
            limit -= _checked_attributes(found, name, key, lists_of_texts)
            if isinstance(found, h5py.Group):
                if _place(found) in above or len(above) > _DEEPEST:
                    raise WeightFileError(
                        f"Groups of a weight file lie in another, {_DEEPEST} at most, and none in "
                        f"itself. Received: {name} with others, at {key!r:.80}"
                    )
                waiting.append((found, (*above, _place(found))))
            else:
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
    dtype = found.dtype
    if not _is_number(dtype) and not _is_opaque(found.id.get_type(), dtype):
        raise WeightFileError(
            f"A weight file holds numbers. Received: {name} with {key!r:.80} of "
            f"{printable(dtype, 80)}"
        )
    return _bytes(found.shape, dtype)


def _checked_attributes(
    found: h5py.Group | h5py.Dataset, name: str, key: str, lists_of_texts: bool
) -> int:
    """The bytes of what is said of a group or data set: names, in Keras' files."""
    names = list(found.attrs)
    if len(names) > _MOST_ATTRIBUTES:
        raise WeightFileError(
            f"A weight file says at most {_MOST_ATTRIBUTES} things of each weight. "
            f"Received: {name} with {len(names):,} of {key!r:.80}"
        )
    taken = 0
    for each in names:
        said = found.attrs.get_id(each)
        dtype, one = said.dtype, said.shape == ()
        # One text takes no more than the file has; many may all be the same long one.
        is_text = _is_text(dtype) and (one or lists_of_texts)
        if not _is_number(dtype) and dtype.kind != "S" and not is_text:
            raise WeightFileError(
                "A weight file says numbers and names of its weights. "
                f"Received: {name} with {each!r:.80} of {key!r:.80}, {printable(dtype, 80)}"
            )
        taken += _bytes(said.shape, dtype)
    return taken


def _is_number(dtype: Any) -> bool:
    return dtype.kind in _NUMBERS and _is_plain(dtype)


def _is_opaque(kind: Any, dtype: Any) -> bool:
    is_bytes = isinstance(kind, h5py.h5t.TypeOpaqueID) and dtype.itemsize in _OPAQUE_BYTES
    return is_bytes and dtype.kind == "V" and _is_plain(dtype)


def _is_plain(dtype: Any) -> bool:
    return dtype.names is None and dtype.subdtype is None and not dtype.hasobject


def _is_text(dtype: Any) -> bool:
    return h5py.check_string_dtype(dtype) is not None


def _bytes(shape: tuple[int, ...] | None, dtype: Any) -> int:
    # What is empty has no shape.
    return 0 if shape is None else math.prod(shape) * dtype.itemsize
