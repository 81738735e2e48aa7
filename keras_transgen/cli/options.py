"""Options that several commands have, and the console that they speak through."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from keras_transgen.cli.quiet import import_tensorflow

if TYPE_CHECKING:
    from rich.progress import Progress

    from keras_transgen.datasets.screen import Screen


EMBEDDED = "digits"
# In an output folder, for as long as a training is not at its end.
UNFINISHED = "unfinished"

Source = Annotated[
    str,
    typer.Argument(
        help="A TF-Hub or Kaggle handle, an archive, a folder with a SavedModel, a .keras or .h5 "
        "file, or 'digits' (the small network that comes with the package).",
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


def seed_option(help: str) -> Any:
    """The option of a seed.

    Args:
        help: What it is the seed of.
    """
    # What NumPy and TensorFlow take.
    return typer.Option(help=help, min=0, max=2**32 - 1)


def rate_option(shown: str) -> Any:
    """The option of a learning rate.

    Args:
        shown: What its default is called.
    """
    return typer.Option(
        help="The highest one of its schedule.", show_default=shown, callback=_checked_rate
    )


def _checked_rate(rate: float | None) -> float | None:
    if rate is not None and not 0.0 < rate < math.inf:
        raise ValueError(
            "The learning rate must be a number above 0, such as 0.001. "
            f"Received: --learning-rate {rate:g}"
        )
    return rate


Check = Annotated[
    Literal["quick", "thorough", "none"],
    typer.Option(
        help="Look for images that cannot be read, before the work: at their ends, by decoding "
        "every one, or not at all."
    ),
]
SkipBroken = Annotated[
    bool,
    typer.Option(
        "--skip-broken", help="Leave out images that --check finds broken; they are named."
    ),
]
OldSize = Annotated[int | None, typer.Option("--size", hidden=True)]
BatchSize = Annotated[int, typer.Option(min=1, help="Examples a batch.")]
Color = Annotated[
    Literal["rgb", "grayscale"],
    typer.Option(help="Channels of a folder's images, for generative models."),
]
UnsafeOps = Annotated[
    bool,
    typer.Option(
        "--allow-unsafe-ops", help="Load a module that reads or writes files or calls Python."
    ),
]


ValueRange = Annotated[
    str | None,
    typer.Option(
        metavar="LOW,HIGH",
        help="Range of values that the network takes, such as 0,255, where it does not tell.",
        show_default="what the network tells",
    ),
]
Preprocessing = Annotated[
    Literal["caffe", "torch", "tf"] | None,
    typer.Option(
        help="How a network of keras.applications that does not rescale images itself wants them."
    ),
]


def range_of(text: str | None, preprocessing: str | None = None) -> tuple[float, float] | None:
    """Read `--value-range`.

    Args:
        text: `"LOW,HIGH"`, or `None`.
        preprocessing: What `--preprocessing` says.

    Raises:
        ValueError: These are not two numbers, the lower first; or both options are given.

    Example:
        ```python
        from keras_transgen.cli.options import range_of

        assert range_of("-1,1") == (-1.0, 1.0)
        ```
    """
    if text is None:
        return None
    if preprocessing is not None:
        raise ValueError(
            "--preprocessing makes the network's values of images from 0 to 255: leave out "
            f"--value-range. Received: --preprocessing {preprocessing} --value-range {text}"
        )
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = 0.0
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(
            "--value-range takes two numbers, the lower first, such as --value-range 0,255. "
            f"Received: --value-range {text}"
        )
    return low, high


def loading_console(what: str = "TensorFlow", stderr: bool = False) -> Screen:
    """A console, on which it is said what takes the next seconds; TensorFlow is loaded then.

    Args:
        what: What takes them.
        stderr: Whether it is the error stream, where standard output is for what is asked for.
    """
    from keras_transgen.datasets.screen import Screen

    console = Screen(stderr=stderr)
    console.print(f"Loading {what} ...")
    import_tensorflow()
    return console


def refuse_output(output: Path, folder: bool = True, name: str = "--output") -> None:
    """Refuse a place where nothing can be written, before the work that would be lost.

    Args:
        output: The folder, or the file, that the command will write.
        folder: Which of the two.
        name: What the user calls it on the command line.

    Raises:
        ValueError: Something else stands there or on the way, or it may not be written.
    """
    kind = "folder" if folder else "file"
    if output.is_dir() if not folder else output.exists() and not output.is_dir():
        other = "a folder" if output.is_dir() else "a file"
        raise ValueError(
            f"{name} must be a {kind}, and {other} of this name is there. Give another path. "
            f"Received: {output}"
        )
    place = output if folder else output.parent
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise ValueError(
            f"{name} cannot lie below a file. Give another path. Received: {output}, where {place} "
            "is no folder"
        )
    if not os.access(place, os.W_OK | os.X_OK):
        raise ValueError(
            f"{name} cannot be written: {place} may not be changed by you. Give another path. "
            f"Received: {output}"
        )


def one_size(console: Screen, image_size: int | None, size: int | None) -> int | None:
    """The size that `--image-size` gives, or the name that it had before.

    Args:
        console: Where the new name is told.
        image_size: What `--image-size` gives.
        size: What `--size` gives.

    Raises:
        ValueError: Both are given, and differ.
    """
    if size is None:
        return image_size
    if image_size not in (None, size):
        raise ValueError(
            "--size is the old name of --image-size: leave it out. "
            f"Received: --size {size} --image-size {image_size}"
        )
    console.print("--size is called --image-size now; the old name goes on for a while")
    return size


def model_in(path: Path) -> Path:
    """A model's file: the path itself, or `model.keras` in the folder of a run.

    Raises:
        FileNotFoundError: There is none.
    """
    inside = path / "model.keras"
    if inside.is_file():
        return inside
    if path.is_dir():
        raise FileNotFoundError(
            "Expected the .keras file of a model, or the folder of a run that holds model.keras. "
            f"Received: {path}, a folder without one"
        )
    return path


def progress_bar(console: Screen) -> Progress:
    """A bar that counts pieces and seconds."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), console=console)


def say_written(console: Screen, output: Path) -> None:
    """Name what lies in an output folder, but for what is there only until the end."""
    names = sorted(path.name for path in output.iterdir() if not path.name.startswith("."))
    names = [name for name in names if name != UNFINISHED]
    console.print(f"Written to {output}: {', '.join(names)}")
