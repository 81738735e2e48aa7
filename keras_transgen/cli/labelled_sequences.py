"""Sequences with their classes: a FASTA file a class, or the class in each header."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keras_transgen.cli.data_kinds import FILE, SEQUENCES, files_in, suffixes_of

if TYPE_CHECKING:
    import numpy as np


def labelled_sequences(
    paths: Sequence[Path], pattern: str | None, class_names: Sequence[str] | None
) -> tuple[list[str], np.ndarray, tuple[str, ...]]:
    r"""Sequences, the number of each one's class, and the names of the classes.

    Args:
        paths: FASTA files, one a class, named by the file; or one folder of them; or one with a
            folder a class. With a pattern: any files and folders.
        pattern: A regular expression that is searched for in each header line behind `>`, whose
            group `label` is the name of the class: `r"class=(?P<label>\w+)"`.
        class_names: The classes in the order wanted; `None` for those that are found, sorted.

    Raises:
        ValueError: There is one class only, a header that the pattern is not in, or a file that
            cannot be read.
    """
    from keras_transgen.datasets import read_fasta
    from keras_transgen.datasets.named_labels import number_labels

    expression = None if pattern is None else _expression(pattern)
    sequences: list[str] = []
    names: list[str] = []
    places: list[str] = []
    for file, name in _files(paths, expression is None):
        for record in read_fasta(file):
            if expression is not None:
                name = _label(expression, f"{record.name} {record.description}".strip(), file)
            sequences.append(record.sequence)
            names.append(name)
            places.append(f"record {record.name!r} of {file}")
    labels, found = number_labels(names, class_names, lambda row: places[row])
    return sequences, labels, found


def _files(paths: Sequence[Path], by_file: bool) -> list[tuple[str, str]]:
    """Files, each with the name of its class where it says one."""
    from keras_transgen.datasets.folder_index import files_by_class

    if not by_file:
        return [(file, "") for file in files_in(paths, SEQUENCES)]
    folders = [path for path in paths if path.is_dir()]
    if len(paths) == 1 and folders:
        direct = [
            path
            for path in sorted(paths[0].iterdir())
            if path.is_file() and path.name.lower().endswith(suffixes_of(SEQUENCES))
        ]
        if not direct:
            files, labels, names = files_by_class(paths[0], suffixes_of(SEQUENCES), FILE[SEQUENCES])
            assert labels is not None
            assert names is not None
            return [(file, names[label]) for file, label in zip(files, labels)]
        return [(str(path), _stem(path)) for path in direct]
    if folders:
        raise ValueError(
            "Expected one file of sequences for each class, or one folder. "
            f"Received: {', '.join(map(str, paths))}"
        )
    if len(paths) == 1:
        raise ValueError(
            "Expected a file of sequences for each class, or --pattern with a group 'label' that "
            "finds the class in each header. "
            f"Received: {paths[0]} alone, and no --pattern"
        )
    return [(str(path), _stem(path)) for path in paths]


def _stem(path: Path) -> str:
    """A file's name without its suffixes, which is its class's."""
    return next(
        (
            path.name[: -len(s)]
            for s in sorted(suffixes_of(SEQUENCES), key=len, reverse=True)
            if path.name.lower().endswith(s)
        ),
        path.stem,
    )


def _expression(pattern: str) -> re.Pattern[str]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"--pattern must be a regular expression. Received: --pattern {pattern} ({error})"
        ) from error
    if "label" not in expression.groupindex:
        raise ValueError(
            r"--pattern must have a group 'label', as in class=(?P<label>\w+). "
            f"Received: --pattern {pattern}"
        )
    return expression


def _label(expression: re.Pattern[str], header: str, file: str) -> str:
    found = expression.search(header)
    if found is None or not found["label"]:
        raise ValueError(
            "--pattern must be found in the header of every sequence. Change it, or the file. "
            f"Received: --pattern {expression.pattern}, and {header!r} in {file}"
        )
    return found["label"]
