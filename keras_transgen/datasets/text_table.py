"""Read texts and labels from a table: CSV, TSV and their relatives."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_transgen.datasets.file_content import file_text
from keras_transgen.datasets.named_labels import number_labels
from keras_transgen.datasets.printable import printable
from keras_transgen.datasets.table_rows import (
    NO_SEPARATOR,
    checked_rows,
    has_lone_quotes,
    likely_separator,
    long_fields,
)

MAX_BYTES = 2**30


class TextTable(NamedTuple):
    """The texts of a table.

    Attributes:
        texts: The texts, row by row.
        labels: int64 `[count]`, positions in `class_names`; `None` for a table without labels.
        class_names: Names of the classes, sorted; `None` for a table without labels.
    """

    texts: list[str]
    labels: np.ndarray | None
    class_names: tuple[str, ...] | None


def text_table(
    path: str | Path,
    text: str | int | Sequence[str | int] = "text",
    label: str | int | None = "label",
    *,
    header: bool | None = None,
    separator: str | None = None,
    quotes: bool | None = None,
    join: str = " ",
    skip_missing: bool = False,
    class_names: Sequence[str] | None = None,
    encoding: str = "utf-8",
    max_bytes: int = MAX_BYTES,
) -> TextTable:
    r"""The texts and labels of a table in a file, gzipped (`.gz`) or not.

    Quotes are those of RFC 4180: a quoted field may hold separators, line breaks and doubled
    quotes. Empty lines are passed over. Texts stay as they are, labels lose spaces around them.
    Nothing but an empty field is missing: `NA` or `nan` is a label like others, of which a warning
    tells.

    Args:
        path: The file.
        text: Column of the texts, by name or by number from 0; several are joined in their order.
            Defaults to `"text"`.
        label: Column of the classes' names, by name or number; `None` for a table without labels.
            Defaults to `"label"`.
        header: Whether the first row has the columns' names. Defaults to `True` if a column is
            given by name, otherwise `False`.
        separator: What stands between the fields. Defaults to a tab for `.tsv` and `.tab`; for
            others it is that of comma, semicolon, tab and bar by which the first rows have
            equally many fields, a comma first for `.csv`. Without labels, and where none fits, each
            line of a file that is no `.csv` is one text.
        quotes: Whether quotes hold fields together. Defaults to `True`, but for tables with tabs
            whose rows are one line each and in which a field begins with a quote that the same
            field does not close: there they are characters of the text.
        join: What stands between several columns' texts. Defaults to a space.
        skip_missing: Leave rows out whose text or label is empty. Defaults to `False`, which
            refuses them.
        class_names: The classes in the order wanted, and no others; for the parts of a data set
            that do not have all of them. Defaults to those that are found, sorted, numbers by
            their value.
        encoding: Of the file. Defaults to UTF-8, with or without a byte order mark.
        max_bytes: Most bytes, after unpacking. Defaults to 1 GiB.

    Returns:
        A named tuple `(texts, labels, class_names)`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a column is missing, a row has more or fewer fields than the first, a text or
            label is empty, there is one class only, the encoding is another, or an argument is out
            of its range.

    Example:
        ```python
        import tempfile
        from pathlib import Path
        from keras_transgen.datasets import text_table

        path = Path(tempfile.mkdtemp()) / "spam.tsv"
        path.write_text("label\ttext\nspam\tWin!\nham\tSee you\n")
        texts, labels, class_names = text_table(path)
        assert texts == ["Win!", "See you"]
        assert labels.tolist() == [1, 0] and class_names == ("ham", "spam")
        ```

    Reference:
        Shafranovich, RFC 4180: Common format and MIME type for comma-separated values files, 2005.
    """
    return numbered_text_table(
        path,
        text,
        label,
        header=header,
        separator=separator,
        quotes=quotes,
        join=join,
        skip_missing=skip_missing,
        class_names=class_names,
        encoding=encoding,
        max_bytes=max_bytes,
    )[0]


def numbered_text_table(
    path: str | Path,
    text: str | int | Sequence[str | int] = "text",
    label: str | int | None = "label",
    *,
    header: bool | None = None,
    separator: str | None = None,
    quotes: bool | None = None,
    join: str = " ",
    skip_missing: bool = False,
    class_names: Sequence[str] | None = None,
    encoding: str = "utf-8",
    max_bytes: int = MAX_BYTES,
) -> tuple[TextTable, list[int]]:
    """`text_table`, and the number of each text's row, from 1, the header not counted."""
    text_columns = [text] if isinstance(text, str | int) else list(text)
    columns = text_columns + ([] if label is None else [label])
    named = any(isinstance(column, str) for column in columns)
    if not text_columns or any(
        isinstance(column, bool) or not isinstance(column, str | int) for column in columns
    ):
        raise ValueError(
            "Expected text and label as names or numbers of columns. "
            f"Received: text={text!r}, label={label!r}"
        )
    if named and header is False:
        raise ValueError(
            "Expected columns by number, from 0, where there is no header. "
            f"Received: header=False, text={text!r}, label={label!r}"
        )
    content = file_text(path, max_bytes, "text_table", encoding)
    with long_fields():
        if separator is None:
            separator = likely_separator(content, path, label is None and len(columns) == 1)
        elif len(separator) != 1 or separator in '"\r\n':
            raise ValueError(
                f"Expected a separator of one character. Received: separator={separator!r}"
            )
        if quotes is None:
            quotes = separator != NO_SEPARATOR and (
                separator != "\t" or not has_lone_quotes(content)
            )
        rows = checked_rows(content, separator, quotes, path)
        first = next(rows, None)
        if first is None:
            raise ValueError(f"Expected a table. Received: {printable(path)}, which is empty")
        has_header = named if header is None else header
        names = [name.strip() for name in first[1]] if has_header else None
        positions = [_position(column, names, len(first[1]), path) for column in columns]
        if label is not None and positions[-1] in positions[:-1]:
            raise ValueError(
                "Expected the labels in another column than the texts. "
                f"Received: text={text!r}, label={label!r}"
            )
        return _table(
            rows if has_header else itertools.chain([first], rows),
            positions[: len(text_columns)],
            None if label is None else positions[-1],
            join,
            skip_missing,
            class_names,
            path,
        )


def _table(
    rows: Iterator[tuple[int, list[str]]],
    text_positions: list[int],
    label_position: int | None,
    join: str,
    skip_missing: bool,
    class_names: Sequence[str] | None,
    path: str | Path,
) -> tuple[TextTable, list[int]]:
    texts, names, lines, numbers = [], [], [], []
    for number, (line, fields) in enumerate(rows, 1):
        parts = [fields[position] for position in text_positions]
        text = join.join(part for part in parts if part.strip())
        name = "" if label_position is None else fields[label_position].strip()
        if not text or (label_position is not None and not name):
            if skip_missing:
                continue
            wanted = "text" if label_position is None else "text and a label"
            raise ValueError(
                f"Expected a {wanted} in each row; skip_missing=True leaves others out. "
                f"Received: no {'label' if text else 'text'} in line {line} of {printable(path)}"
            )
        texts.append(text)
        names.append(name)
        lines.append(line)
        numbers.append(number)
    if not texts:
        raise ValueError(f"Expected rows with texts. Received: none in {printable(path)}")
    if label_position is None:
        return TextTable(texts, None, None), numbers
    labels, classes = number_labels(
        names, class_names, lambda row: f"line {lines[row]} of {printable(path)}"
    )
    return TextTable(texts, labels, classes), numbers


def _position(column: str | int, names: list[str] | None, width: int, path: str | Path) -> int:
    if isinstance(column, int) and 0 <= column < width:
        return column
    if names is not None and isinstance(column, str) and names.count(column) == 1:
        return names.index(column)
    listed = f"{width} columns" if names is None else f"the columns {printable(names)}"
    twice = "exactly one" if names is not None and column in names else "a"
    raise ValueError(
        f"Expected {twice} column {column!r}. Give text= and label= by name, or by number from 0, "
        "as in a table without a header; label=None if there are no labels; separator= if the "
        "fields were not told apart. "
        f"Received: {listed} in {printable(path)}"
    )
