"""What a classifier says of each example: rows of a CSV, and the first of them on the screen."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    import numpy as np

    from keras_transgen.datasets.screen import Screen

SHOWN = 20
# What a spreadsheet takes for a formula, in full width too, or passes over to look at what follows.
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")


def harmless(text: str) -> str:
    """A cell that a spreadsheet shows and does not compute: a formula gets an apostrophe before it.

    Example:
        ```python
        from keras_transgen.cli.answers import harmless

        assert harmless("=1+1") == "'=1+1" and harmless("1+1") == "1+1"
        ```
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def columns(first: str, class_names: Sequence[str], top: int) -> list[str]:
    """The names of a row's cells.

    Args:
        first: What names an example: `"file"`.
        class_names: Names of the classes.
        top: How many of the most probable classes are named.
    """
    ranked = [
        f"{name}{'' if place == 1 else f'_{place}'}"
        for place in range(1, top + 1)
        for name in ("class", "probability")
    ]
    return [first, *ranked, *(f"p({name})" for name in class_names)]


def answers(
    names: Sequence[str],
    probabilities: np.ndarray,
    class_names: Sequence[str],
    top: int,
    several: bool,
) -> Iterator[list[Any]]:
    """A row for each example.

    Args:
        names: Of the examples.
        probabilities: `[count, classes]`.
        class_names: Names of the classes.
        top: How many of the most probable classes are named.
        several: Whether an example may have several labels: those more probable than not are named
            together, with the highest probability there is.
    """
    for name, row in zip(names, probabilities.tolist()):
        if several:
            chosen = [each for each, value in zip(class_names, row) if value > 0.5]
            ranked: list[Any] = ["; ".join(chosen), max(row)]
        else:
            order = sorted(range(len(row)), key=lambda number: -row[number])[:top]
            ranked = [cell for number in order for cell in (class_names[number], row[number])]
        yield [name, *ranked, *row]


def write_answers(path: str | Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows as a whole CSV in UTF-8: texts in quotes, numbers as they are, no formula."""
    from keras_transgen.datasets.whole_file import write_whole

    def write(beside: str) -> None:
        # A name of a file need not be UTF-8.
        with open(beside, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
            for row in itertools.chain([header], rows):
                writer.writerow([harmless(cell) if isinstance(cell, str) else cell for cell in row])

    write_whole(str(path), write)


def show_answers(
    console: Screen, header: Sequence[str], rows: Sequence[Sequence[Any]], count: int, top: int
) -> None:
    """Print the first rows, without the probabilities of all classes."""
    table = Table()
    width = 1 + 2 * top
    for name in header[:width]:
        table.add_column(name, justify="right" if name.startswith("probability") else "left")
    for row in rows:
        table.add_row(*[cell if isinstance(cell, str) else f"{cell:.3f}" for cell in row[:width]])
    console.print(table)
    if count > len(rows):
        console.print(f"{count - len(rows):,} more; --output answers.csv writes all of them")
