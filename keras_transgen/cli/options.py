"""Options that several commands have, and the console that they speak through."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.progress import Progress

    from keras_transgen.datasets.screen import Screen


EMBEDDED = "digits"

Source = Annotated[
    str,
    typer.Argument(
        help="A TF-Hub or Kaggle handle, an archive, a folder with a SavedModel, a .keras file, or "
        "'digits' (the small network that comes with the package).",
        show_default=False,
    ),
]
ImageSize = Annotated[
    int | None,
    typer.Option(
        min=8,
        help="Side in pixels, where the module takes any.",
        show_default="that of the first image, at most 224",
    ),
]
BatchSize = Annotated[int, typer.Option(min=1)]
UnsafeOps = Annotated[
    bool,
    typer.Option(
        "--allow-unsafe-ops", help="Load a module that reads or writes files or calls Python."
    ),
]


def loading_console(what: str = "TensorFlow") -> Screen:
    """A console, on which it is said what takes the next seconds."""
    from keras_transgen.datasets.screen import Screen

    console = Screen()
    console.print(f"Loading {what} ...")
    return console


def progress_bar(console: Screen) -> Progress:
    """A bar that counts pieces and seconds."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), console=console)


def say_written(console: Screen, output: Path) -> None:
    """Name what lies in an output folder."""
    console.print(f"Written to {output}: {', '.join(sorted(p.name for p in output.iterdir()))}")
