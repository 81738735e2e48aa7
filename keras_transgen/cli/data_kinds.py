"""What kind of data files are: images, tables of text, sound or sequences."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

IMAGES, TEXT, SOUND, SEQUENCES = "images", "text", "sound", "sequences"
Kind = Annotated[
    Literal["images", "text", "sound", "sequences"] | None,
    typer.Option(help="What the data are.", show_default="what the files are"),
]
WORDS = {
    IMAGES: "images (files, or a folder)",
    TEXT: "a table of texts (CSV, TSV)",
    SOUND: "recordings (WAV files, or a folder)",
    SEQUENCES: "sequences (FASTA files, or a folder)",
}

FILE = {IMAGES: "image", TEXT: "table", SOUND: "recording", SEQUENCES: "sequence file"}


def suffixes_of(kind: str) -> tuple[str, ...]:
    """What files of a kind are called.

    Args:
        kind: Of the data.
    """
    return _suffixes()[kind]


@functools.cache
def _suffixes() -> dict[str, tuple[str, ...]]:
    # Help, which needs none of them, would wait for what else the room imports.
    from keras_transgen.datasets import file_suffixes

    return {
        IMAGES: file_suffixes.IMAGE_SUFFIXES,
        TEXT: file_suffixes.TABLE_SUFFIXES,
        SOUND: file_suffixes.WAVE_SUFFIXES,
        SEQUENCES: file_suffixes.FASTA_SUFFIXES,
    }


def kind_of(paths: Sequence[Path]) -> str:
    """The kind of data that files are by their names, and folders by the files in them.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is none, or several.
    """
    found = {kind for path in paths for kind in _kinds_at(path)}
    if len(found) != 1:
        told = " and ".join(sorted(found)) or "none of them by its name"
        raise ValueError(
            "Expected data of one kind: images, recordings (.wav), sequences (.fa, .fasta) or a "
            "table (.csv, .tsv, .gz). Say which with --kind. "
            f"Received: {told} in {', '.join(map(str, paths))}"
        )
    return found.pop()


def refuse_missing(paths: Sequence[Path]) -> None:
    """Refuse what is not there.

    Raises:
        FileNotFoundError: There is no such file or folder.
    """
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(
                f"Expected a file or folder of data. Received: {path} (nothing there)"
            )


def refuse_other_kind(paths: Sequence[Path], kind: str) -> None:
    """Refuse files that are of another kind by their names.

    Raises:
        ValueError: One is.
    """
    for path in paths:
        others = set() if path.is_dir() else _kinds_by_name(path.name) - {kind}
        if others:
            raise ValueError(
                f"This model takes {WORDS[kind]}. Received: {path}, {WORDS[others.pop()]}"
            )


def _kinds_at(path: Path) -> set[str]:
    refuse_missing([path])
    if not path.is_dir():
        return _kinds_by_name(path.name)
    from keras_transgen.datasets.folder_walk import found_files

    return {kind for file in found_files(str(path), []) for kind in _kinds_by_name(file.path)}


def _kinds_by_name(name: str) -> set[str]:
    return {kind for kind, suffixes in _suffixes().items() if name.lower().endswith(suffixes)}


def files_in(paths: Sequence[Path], kind: str) -> list[str]:
    """The files of a kind: those named, and those in the folders named; a warning counts others.

    Raises:
        ValueError: A folder has none.
    """
    from keras_transgen.datasets.folder_index import files_by_class

    found: list[str] = []
    for path in paths:
        if path.is_dir():
            found += files_by_class(
                path, suffixes_of(kind), FILE[kind], labelled=False, caller=str(path)
            )[0]
        else:
            found.append(str(path))
    return found
