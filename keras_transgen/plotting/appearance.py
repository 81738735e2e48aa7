"""How every figure of the package looks: colours for colour-blind readers, quiet axes."""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito, "Color Universal Design", 2008, without its yellow, which vanishes on white.
LINE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# Markers tell lines apart where colours cannot.
LINE_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# Paul Tol's muted scheme: ten classes that stay apart.
CLASS_COLOURS = (
    "#332288",
    "#CC6677",
    "#117733",
    "#DDCC77",
    "#88CCEE",
    "#882255",
    "#44AA99",
    "#AA4499",
    "#999933",
    "#777777",
)
TEXT = "#262626"
QUIET = "#6B6B6B"
FAINT = "#DDDDDD"


def new_figure(width: float, height: float, title: str | None = None) -> Figure:
    """An empty white figure of its own, unknown to pyplot, that notebooks show."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    # IPython's hook; Matplotlib's figures are pictures there only where pyplot is used.
    setattr(figure, "_repr_png_", functools.partial(as_png, figure))  # noqa: B010
    if title:
        figure.suptitle(title, x=0.01, ha="left", color=TEXT, fontsize=13, fontweight="bold")
    return figure


def as_png(figure: Figure) -> bytes:
    """A figure as notebooks show it: the bytes of a PNG file."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=100)
    return picture.getvalue()


def tidy(
    axes: Axes,
    *,
    title: str | None = None,
    x_label: str = "",
    y_label: str = "",
    grid: Literal["x", "y", "both", "none"] = "y",
) -> None:
    """Give axes the house's look."""
    axes.set_facecolor("white")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(QUIET)
    axes.tick_params(colors=QUIET, labelcolor=TEXT, labelsize=9)
    axes.tick_params(which="minor", colors=FAINT)
    axes.set_axisbelow(True)
    axes.grid(False)
    if grid != "none":
        axes.grid(axis=grid, color=FAINT, linewidth=0.8)
    if title:
        axes.set_title(title, loc="left", color=TEXT, fontsize=11, fontweight="bold")
    axes.set_xlabel(x_label, color=TEXT, fontsize=10)
    axes.set_ylabel(y_label, color=TEXT, fontsize=10)


def legend(axes: Axes, **options: Any) -> None:
    """A legend without a box, in the house's colours."""
    axes.legend(frameon=False, fontsize=9, labelcolor=TEXT, **options)


def class_name(number: int, class_names: Sequence[str] | None) -> str:
    """The name of a class, its number where none are given."""
    if class_names is None:
        return str(number)
    if not 0 <= number < len(class_names):
        raise ValueError(
            f"Expected a name for every class. Received: {len(class_names)} names, class {number}"
        )
    return plain_text(str(class_names[number]))


def plain_text(name: str) -> str:
    """A name as it is, which Matplotlib would read as a formula between two dollar signs.

    Of what is no text, such as a folder's name that is not UTF-8, the codes are shown.
    """
    return name.replace("$", r"\$").encode("utf-8", "backslashreplace").decode()


def readable(name: str) -> str:
    """A metric's name as words: `"kernel_distance"` becomes `"kernel distance"`."""
    return name.replace("_", " ")
