"""A `.keras` file held against what a `.keras` file is, and what it may cost, before it is read."""

from __future__ import annotations

import json
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_transgen.training.config_from_file import check_objects, nested_in
from keras_transgen.training.weight_file import WEIGHTS, check_weights_in
from keras_transgen.training.zip_limits import check_members

MAX_MEMBERS = 10_000
CONFIG = "config.json"
_JSON = (CONFIG, "metadata.json")
# The configuration of a network with a thousand layers has a megabyte; vocabularies are longer.
_LONGEST_JSON = 64 * 2**20
_JSON_RATIO, _JSON_FLOOR = 200, 2**20
# Python's objects are larger than the text that they are read from, so they are counted too.
_MOST_VALUES = 4_000_000
_DEEPEST = 500
# What file systems take, less what Keras unpacks into.
_LONGEST_PART, _LONGEST_NAME, _MOST_PARTS, _MOST_FOLDERS = 200, 2000, 64, 20_000


def check_file(file: Path, suffixes: tuple[str, ...] = (".keras",)) -> None:
    """Refuse what is no plain file whose name ends in `.keras`, or in one of other suffixes."""
    if not file.exists():
        raise ValueError(f"There is no such file. Check the path. Received: path={str(file)!r}")
    if file.is_dir():
        raise ValueError(
            f"A {suffixes[0]} file is expected; a folder with a SavedModel goes to "
            f"keras_transgen.load_backbone. Received: path={str(file)!r}"
        )
    # A pipe would be waited for.
    if not stat.S_ISREG(file.stat().st_mode) or file.suffix not in suffixes:
        raise ValueError(
            f"A file whose name ends in {suffixes[0]} is expected; weights alone are loaded with "
            f"model.load_weights. Received: path={str(file)!r}"
        )


def check_archive(file: Path, max_members: int, max_bytes: int, name: str) -> int:
    """Refuse what is no whole `.keras` file, or costs too much; count its groups and weights."""
    size = file.stat().st_size
    said = f"Received: path={name!r} of {size:,} bytes"
    if not zipfile.is_zipfile(file):
        _refuse_no_archive(file, said)
    check_members(file, max_members, max_bytes)
    with zipfile.ZipFile(file) as archive:
        names = set(archive.namelist())
        _check_names(archive.namelist(), said)
        missing = [part for part in _JSON if part not in names]
        missing = missing or [part for part in (WEIGHTS,) if part not in names]
        if missing:
            raise ValueError(
                f"This archive is no .keras file: it lacks {missing}. Save the model with "
                f"model.save('name.keras'). {said}"
            )
        for part in _JSON:
            _check_length(archive.getinfo(part), said)
        damaged = _first_damaged(archive)
        if damaged:
            raise ValueError(
                f"The .keras file is damaged: {damaged} in it does not read back. Copy or download "
                f"it again, or save the model again. {said}"
            )
        return check_weights_in(archive)


def read_config(archive: zipfile.ZipFile) -> Any:
    """The model's configuration, as JSON holds it; checked by `check_archive` before."""
    return parsed_config(archive.read(CONFIG), ".keras")


def parsed_config(text: bytes, kind: str) -> Any:
    """A model's configuration out of its text, within limits.

    Args:
        text: JSON.
        kind: The suffix of the file, for messages.

    Raises:
        ValueError: It is no JSON, too much of it, or describes what does more than compute.
    """
    values = sum(text.count(mark) for mark in (b",", b"[", b"{"))
    if values > _MOST_VALUES or len(text) > _LONGEST_JSON:
        raise ValueError(
            f"The configuration in a {kind} file may have {_MOST_VALUES:,} values in "
            f"{_LONGEST_JSON:,} bytes. "
            f"Received: {values:,} in {len(text):,} bytes"
        )
    try:
        config = json.loads(text)
        _check_depth(config)
    except (RecursionError, ValueError) as error:
        raise ValueError(
            f"The configuration in the {kind} file is no JSON of a model. Get the file again from "
            f"where it was made. Received: {type(error).__name__}: {error!s:.200}"
        ) from None
    check_objects(config)
    return config


def registered_names(config: Any) -> Iterator[str]:
    """The names of registered classes in a configuration."""
    for each in nested_in(config):
        name = each.get("registered_name") if isinstance(each, Mapping) else None
        if isinstance(name, str):
            yield name


def _check_names(names: list[str], said: str) -> None:
    """Refuse names that cannot all be unpacked into a folder, or that act on a terminal."""
    files: set[tuple[str, ...]] = set()
    folders: set[tuple[str, ...]] = set()
    for name in names:
        parts = tuple(part for part in name.split("/") if part not in ("", "."))
        above = {parts[:depth] for depth in range(1, len(parts))}
        folders |= above | ({parts} if name.endswith("/") else set())
        reason = _fault(name, parts)
        if parts in files or len(folders) > _MOST_FOLDERS:
            reason = reason or "and many others, or the same place twice"
        if reason:
            raise ValueError(
                "Members of a .keras file have names of printable characters under which they can "
                "be unpacked. Get the file again from where it was made. "
                f"{said}, with {name[:80]!r}, {reason}"
            )
        if not name.endswith("/"):
            files.add(parts)
    both = files & folders
    if both:
        raise ValueError(
            "A member of a .keras file is a file or a folder. Get the file again from where it was "
            f"made. {said}, with {'/'.join(min(both))[:80]!r}, which is both"
        )


def _fault(name: str, parts: tuple[str, ...]) -> str | None:
    if not name.isprintable():
        return "not printable"
    longest = max((len(part.encode()) for part in parts), default=0)
    if longest > _LONGEST_PART or len(name.encode()) > _LONGEST_NAME:
        return "too long"
    return "too deep" if len(parts) > _MOST_PARTS else None


def _refuse_no_archive(file: Path, said: str) -> None:
    with file.open("rb") as stream:
        was_archive = stream.read(4) == b"PK\x03\x04"
    if was_archive:
        raise ValueError(
            "The .keras file is truncated: its end is missing. Copy or download it again, or "
            f"save the model again. {said}"
        )
    raise ValueError(
        "This is no .keras archive. Save models with model.save('name.keras'); weights alone "
        f"are loaded with model.load_weights. {said}"
    )


def _check_length(member: zipfile.ZipInfo, said: str) -> None:
    length, packed = member.file_size, max(member.compress_size, 1)
    if length > _LONGEST_JSON or (length > _JSON_FLOOR and length > _JSON_RATIO * packed):
        raise ValueError(
            f"Expected {member.filename} of at most {_LONGEST_JSON:,} bytes, and of at most "
            f"{_JSON_RATIO} times what it is packed in. Get the file again from where it was made. "
            f"{said}, with {length:,} bytes of it out of {packed:,}"
        )


def _check_depth(config: Any) -> None:
    level, depth = [config], 0
    while level:
        depth += 1
        if depth > _DEEPEST:
            raise ValueError(f"more than {_DEEPEST} objects within another")
        inner = [each for each in level if isinstance(each, (dict, list))]
        level = [v for each in inner for v in (each.values() if isinstance(each, dict) else each)]


def _first_damaged(archive: zipfile.ZipFile) -> str | None:
    """The first member that does not read back; those whose path leads out are never unpacked."""
    try:
        return archive.testzip()
    except (zipfile.BadZipFile, EOFError, OSError, zlib.error, RuntimeError) as error:
        return str(error)
