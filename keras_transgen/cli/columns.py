"""Columns of a table as the command line names them."""

from __future__ import annotations

from typing import Annotated

import typer

Header = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header",
        help="Of a table: whether its first row names the columns.",
        show_default="if a column is given by name",
    ),
]


def column_of(word: str) -> str | int:
    """A column by its name, or by its number from 0."""
    return int(word) if word.isascii() and word.isdigit() else word


def columns_of(words: str) -> list[str | int]:
    """Columns with commas between them.

    Raises:
        ValueError: One is empty.

    Example:
        ```python
        from keras_transgen.cli.columns import columns_of

        assert columns_of("title,2") == ["title", 2]
        ```
    """
    found = [column_of(word.strip()) for word in words.split(",")]
    if "" in found:
        raise ValueError(
            "--text takes names or numbers of columns with commas between them. "
            f"Received: --text {words}"
        )
    return found
