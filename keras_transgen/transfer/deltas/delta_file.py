"""A delta as a small file: what was trained, the head, and the digest of the backbone."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from keras_transgen.backbones.array_archive import read_arrays
from keras_transgen.training import write_whole
from keras_transgen.training.config_from_file import shown

_FORMAT = "keras_transgen delta"
_VERSION = 1
_HEADER = "header"
_STATE = "state."
_HEAD = "head."
_FIELDS = {"name": str, "method": str, "arguments": dict, "digest": str, "backbone": str}
_LONGEST_HEADER = 16 * 2**20

# Deltas are a few per cent of a network; this is one of a hundred thousand million parameters.
MAX_DELTA_BYTES = 4 * 2**30


@dataclasses.dataclass(frozen=True)
class SavedDelta:
    """What a `.delta` file holds.

    Args:
        name: Name of the delta when it was saved.
        method: Its method.
        arguments: The method's arguments, as JSON values.
        digest: Digest of the backbone that it belongs to.
        backbone: The backbone's name, for messages.
        state: What was trained, by name.
        head: Weights of the head.
    """

    name: str
    method: str
    arguments: dict[str, Any]
    digest: str
    backbone: str
    state: dict[str, np.ndarray]
    head: list[np.ndarray]


def write_delta(path: str | os.PathLike[str], delta: SavedDelta) -> None:
    """Write a `.delta` file: an uncompressed NumPy archive, there whole or not at all.

    Args:
        path: Where the file shall be; one that is there is replaced.
        delta: What it shall hold.
    """
    header = {
        "format": _FORMAT,
        "version": _VERSION,
        **{
            key: getattr(delta, key)
            for key in ("name", "method", "arguments", "digest", "backbone")
        },
    }
    arrays: dict[str, Any] = {_HEADER: np.frombuffer(json.dumps(header).encode(), "uint8")}
    arrays |= {f"{_STATE}{key}": value for key, value in delta.state.items()}
    arrays |= {f"{_HEAD}{place}": value for place, value in enumerate(delta.head)}

    def write(beside: str) -> None:
        # Through a stream, since NumPy would put .npz behind a name.
        with open(beside, "wb") as stream:
            np.savez(stream, **arrays)

    write_whole(os.fspath(path), write)


def read_delta(path: str | os.PathLike[str], max_bytes: int = MAX_DELTA_BYTES) -> SavedDelta:
    """Read a `.delta` file, without running anything that it says.

    Args:
        path: The file.
        max_bytes: How much memory its arrays may take. Defaults to 4 GiB.

    Raises:
        ValueError: There is no such file, or it is no delta, damaged, too large, or of a later
            version.
    """
    said = f"Received: path={os.fspath(path)!r}"
    if not Path(path).is_file():
        raise ValueError(f"There is no such file. Check the path. {said}")
    try:
        arrays = read_arrays(path, max_bytes)
        header = _header_in(arrays)
    except (ValueError, KeyError, RecursionError) as error:
        raise ValueError(
            "This is no whole .delta file. Deltas are written by model.save_delta('name.delta'); "
            f"copy or save it again. {said} ({type(error).__name__}: {error!s:.500})"
        ) from None
    if header.get("format") != _FORMAT or header.get("version") != _VERSION:
        raise ValueError(
            f"The file must be a delta of format version {_VERSION}; update keras_transgen for a "
            f"later one. {said} with format {shown(header.get('format'))}, version "
            f"{shown(header.get('version'))}"
        )
    wrong = [key for key, kind in _FIELDS.items() if not isinstance(header.get(key), kind)]
    if wrong:
        raise ValueError(
            f"The header of a delta says its {', '.join(_FIELDS)}. Get the file again from where "
            f"it was made. {said} without {', '.join(wrong)}"
        )
    state = {key[len(_STATE) :]: v for key, v in arrays.items() if key.startswith(_STATE)}
    heads = sum(key.startswith(_HEAD) for key in arrays)
    if any(f"{_HEAD}{place}" not in arrays for place in range(heads)):
        raise ValueError(
            "The weights of a delta's head are numbered from 0. Get the file again from where it "
            f"was made. {said} with others"
        )
    return SavedDelta(
        name=header["name"],
        method=header["method"],
        arguments=header["arguments"],
        digest=header["digest"],
        backbone=header["backbone"],
        state=state,
        head=[arrays[f"{_HEAD}{place}"] for place in range(heads)],
    )


def _header_in(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    header = arrays.pop(_HEADER)
    if header.dtype != np.uint8 or header.nbytes > _LONGEST_HEADER:
        raise ValueError(f"a header of text is expected. Received: {header.nbytes:,} bytes")
    said = json.loads(header.tobytes())
    if not isinstance(said, dict):
        raise ValueError(f"a header of fields is expected. Received: {shown(said)}")
    return said
