"""A delta as a small file: what was trained, the head, and the digest of the backbone."""

from __future__ import annotations

import dataclasses
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from keras_transgen.training import write_whole

_FORMAT = "keras_transgen delta"
_VERSION = 1
_HEADER = "header"
_STATE = "state."
_HEAD = "head."


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


def read_delta(path: str | os.PathLike[str]) -> SavedDelta:
    """Read a `.delta` file, without running anything that it says.

    Args:
        path: The file.

    Raises:
        ValueError: There is no such file, or it is no delta, damaged, or of a later version.
    """
    said = f"Received: path={os.fspath(path)!r}"
    if not Path(path).is_file():
        raise ValueError(f"There is no such file. Check the path. {said}")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
        header = json.loads(arrays.pop(_HEADER).tobytes())
    except (OSError, ValueError, EOFError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(
            "This is no whole .delta file. Deltas are written by model.save_delta('name.delta'); "
            f"copy or save it again. {said} ({type(error).__name__}: {error})"
        ) from None
    if header.get("format") != _FORMAT or header.get("version") != _VERSION:
        raise ValueError(
            f"The file must be a delta of format version {_VERSION}; update keras_transgen for a "
            f"later one. {said} with format {header.get('format')!r}, version "
            f"{header.get('version')!r}"
        )
    state = {key[len(_STATE) :]: v for key, v in arrays.items() if key.startswith(_STATE)}
    heads = sum(key.startswith(_HEAD) for key in arrays)
    return SavedDelta(
        name=header["name"],
        method=header["method"],
        arguments=header["arguments"],
        digest=header["digest"],
        backbone=header["backbone"],
        state=state,
        head=[arrays[f"{_HEAD}{place}"] for place in range(heads)],
    )
