"""Rows of a table: fields, quotes and the separator, with the line where each row begins."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from keras_transgen.datasets.printable import printable

# A character that no text has, for lines that are one field each.
NO_SEPARATOR = "\x1f"
# By suffix, the likelier first.
_SEPARATORS = {".csv": ",;\t|", ".tsv": "\t", ".tab": "\t", "": "\t,;|"}
_ROWS_TO_COUNT = 20
_QUOTED_FIELD = re.compile('"(?:[^"]|"")*"')
# The csv module's own limit is 128 KiB, which a long document passes.
_LONGEST_FIELD = 2**31 - 1


def checked_rows(
    content: str, separator: str, quotes: bool, path: str | Path
) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line each begins in, all as wide as the first."""
    width = None
    try:
        for line, fields in _rows(content, separator, quotes):
            width = width or len(fields)
            if len(fields) != width:
                raise ValueError(
                    f"Expected {width} fields in each row, as in the first. Correct the row, or "
                    f"say separator= or quotes= if they are others than {separator!r} and "
                    f"{quotes}. Received: {len(fields)} in line {line} of {printable(path)}"
                )
            yield line, fields
    except _QuoteError as error:
        raise _refused_quotes(error, path) from error


class _QuoteError(Exception):
    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason, line)
        self.reason, self.line = reason, line


def _refused_quotes(error: _QuoteError, path: str | Path) -> ValueError:
    return ValueError(
        "Expected quotes that close, followed by a separator or the end of the row. Where "
        "quotes are characters of the text, pass quotes=False. "
        f"Received: {error.reason} in the row from line {error.line} of {printable(path)}"
    )


def _rows(content: str, separator: str, quotes: bool) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(
        io.StringIO(content, newline=""),
        delimiter=separator,
        quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE,
        strict=True,
    )
    line = 1
    try:
        for fields in reader:
            if fields:
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        raise _QuoteError(str(error), line) from error


def likely_separator(content: str, path: str | Path, one_column: bool = False) -> str:
    """What stands between the fields, by the file's suffix and its first rows.

    Args:
        content: The table.
        path: Of its file.
        one_column: Whether lines may be whole texts, between which nothing stands.
    """
    suffix = Path(Path(path).name.lower().removesuffix(".gz")).suffix
    candidates = _SEPARATORS.get(suffix, _SEPARATORS[""])
    if len(candidates) == 1:
        return candidates
    broken = []
    for candidate in candidates:
        try:
            rows = itertools.islice(_rows(content, candidate, True), _ROWS_TO_COUNT)
            widths = {len(fields) for _, fields in rows}
            if len(widths) == 1 and widths != {1}:
                return candidate
        except _QuoteError as error:
            broken.append(error)
    if len(broken) == len(candidates):
        # Which separator it is cannot be told, since a quote that stays open swallows the rest.
        raise _refused_quotes(broken[0], path) from broken[0]
    if suffix == ".csv":
        return ","
    if one_column:
        return NO_SEPARATOR
    raise ValueError(
        "Expected a table whose rows have equally many fields between tabs, commas, semicolons or "
        f"bars. Pass separator= if it is another. Received: {printable(path)}"
    )


def has_lone_quotes(content: str) -> bool:
    """Whether each line is a row, and a field opens a quote that it does not close."""
    if '"' not in content:
        return False
    width, lone = None, False
    for _, fields in _rows(content, "\t", quotes=False):
        width = width or len(fields)
        if len(fields) != width or width == 1:
            return False
        lone = lone or any(
            field.startswith('"') and not _QUOTED_FIELD.fullmatch(field) for field in fields
        )
    return lone


@contextlib.contextmanager
def long_fields() -> Iterator[None]:
    """Fields of any length, for as long as it lasts: the module's limit is for all of a process."""
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)
