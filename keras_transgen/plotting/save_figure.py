"""Write a figure to a file that is never half-written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from keras_transgen.training import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_figure(figure: Figure, path: str | Path, dpi: int = 150) -> Path:
    """Write a figure beside its place and move it there.

    Whoever looks at the path, a notebook or a browser that reloads, sees the old figure or the new
    one. Missing folders are made.

    Args:
        figure: A Matplotlib figure.
        path: The file; its suffix is the format: `.png`, `.svg`, `.pdf`, `.jpg`.
        dpi: Pixels per inch. Defaults to 150.

    Returns:
        The path.

    Raises:
        ValueError: If the suffix is no format that Matplotlib writes.

    Example:
        ```python
        import tempfile
        from keras_transgen.plotting import plot_learning_curves, save_figure

        figure = plot_learning_curves({"loss": [1.0, 0.5], "val_loss": [1.1, 0.7]})
        save_figure(figure, tempfile.mkdtemp() + "/curves.png")
        ```
    """
    path = Path(path)
    suffix = checked_suffix(path)
    colour = figure.get_facecolor()
    write_whole(
        str(path), lambda beside: figure.savefig(beside, dpi=dpi, format=suffix, facecolor=colour)
    )
    return path


def checked_suffix(path: Path) -> str:
    """The format of a figure's file by its name, before anything is drawn for it.

    Args:
        path: The file.

    Raises:
        ValueError: If the suffix is no format that Matplotlib writes.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    formats = sorted(FigureCanvasAgg.get_supported_filetypes())
    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in formats:
        raise ValueError(
            f"Expected a path that ends in one of {formats}. Received: path={str(path)!r}"
        )
    return suffix
