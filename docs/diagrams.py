"""The diagrams of the guides: boxes, arrows and tokens."""

from __future__ import annotations

import inspect

import keras_transgen as ktg
from keras_transgen.plotting.appearance import LINE_COLOURS, QUIET, TEXT, new_figure

BLUE, ORANGE, GREEN, PINK = LINE_COLOURS[:4]


def _canvas(width: float, height: float):
    figure = new_figure(width, height)
    # Inches are its units, and it fills the figure.
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    return figure, axes


def _box(axes, x, y, width, height, text, colour=QUIET, filled=False, size=10):
    """A box with its middle at (x, y)."""
    from matplotlib.patches import FancyBboxPatch

    corner = (x - width / 2, y - height / 2)
    style = "round,pad=0,rounding_size=0.08"
    fill = (colour, 0.16) if filled else "white"
    box = FancyBboxPatch(corner, width, height, style, edgecolor=colour, facecolor=fill, lw=1.4)
    axes.add_patch(box)
    axes.text(x, y, text, ha="center", va="center", color=TEXT, fontsize=size)


def _arrow(axes, start, end, text="", colour=QUIET, offset=(0.0, 0.12), both=False, **options):
    style = "<|-|>" if both else "-|>"
    look = {"arrowstyle": style, "color": colour, "lw": 1.4, "shrinkA": 2, "shrinkB": 2}
    axes.annotate("", end, start, arrowprops={**look, **options})
    middle = [(a + b) / 2 + by for a, b, by in zip(start, end, offset)]
    axes.text(*middle, text, ha="center", va="bottom", color=QUIET, fontsize=9)


def tokens():
    """One text, cut by three vocabularies."""
    names = [getattr(ktg, name) for name in dir(ktg)]
    texts = [inspect.getdoc(each) for each in names if inspect.isclass(each)]
    text = "two layers: größer"
    vocabularies = {
        "bytes()": ktg.Vocabulary.bytes(),
        "characters(texts)": ktg.Vocabulary.characters(texts),
        "train(texts, size=500)": ktg.Vocabulary.train(texts, size=500),
    }
    figure, axes = _canvas(9.8, 2.75)
    axes.text(0.1, 2.42, f"“{text}”", color=TEXT, fontsize=12, fontweight="bold")
    for row, (name, vocabulary) in enumerate(vocabularies.items()):
        y = 1.95 - 0.76 * row
        numbers = vocabulary.encode(text)
        axes.text(0.1, y, name, color=TEXT, fontsize=10, va="center")
        left = 2.0
        for number in numbers:
            piece = _piece(vocabulary, number)
            width = 0.24 + 0.09 * len(piece)
            colour = ORANGE if number == 3 else BLUE
            _box(axes, left + width / 2, y, width, 0.34, piece, colour, filled=True, size=9)
            axes.text(left + width / 2, y - 0.3, number, ha="center", fontsize=7, color=QUIET)
            left += width + 0.05
    return figure


def _piece(vocabulary, number) -> str:
    if number == 3:
        return "?"
    text = vocabulary.decode([number])
    return "␣" if not text.strip() else text if text.isprintable() and "\ufffd" not in text else "·"


def lora():
    """W is kept and a product of two thin matrices is added."""
    figure, axes = _canvas(8.0, 2.75)
    _box(axes, 1.0, 1.7, 1.5, 1.5, "$W$\n\nwhat the network\ncomputes with", QUIET, size=9)
    axes.text(2.1, 1.7, "=", fontsize=18, ha="center", va="center", color=TEXT)
    _box(axes, 3.2, 1.7, 1.5, 1.5, "$W_0$\n\npretrained,\nstays", BLUE, filled=True, size=9)
    axes.text(4.45, 1.7, r"+  $s\,\cdot$", fontsize=16, ha="center", va="center", color=TEXT)
    _box(axes, 5.35, 1.7, 0.42, 1.5, "$A$", ORANGE, filled=True, size=11)
    _box(axes, 6.75, 2.24, 1.5, 0.42, "$B$", ORANGE, filled=True, size=11)
    axes.text(5.35, 0.72, "in × rank", ha="center", color=QUIET, fontsize=9)
    axes.text(6.75, 1.82, "rank × out", ha="center", color=QUIET, fontsize=9)
    axes.text(6.0, 1.2, "train: a few per cent,\nsaved on their own", color=TEXT, fontsize=9)
    gradient = r"the tape gives $\partial L/\partial W$, so  "
    chain = r"$\partial L/\partial A = s\,(\partial L/\partial W)\,B^\top$  and  "
    chain += r"$\partial L/\partial B = s\,A^\top(\partial L/\partial W)$;  "
    last = r"then $W$ is assigned"
    axes.text(4.3, 0.2, gradient + chain + last, ha="center", color=TEXT, fontsize=10)
    return figure


def one_step():
    """A batch is divided, gradients are summed, every worker takes the same step."""
    figure, axes = _canvas(9.0, 3.5)
    _box(axes, 0.95, 1.9, 1.5, 0.9, "one batch of 96\n(batch_size)", QUIET)
    _box(axes, 6.1, 1.9, 1.3, 1.0, "sum over\nall workers", GREEN, filled=True)
    for worker, y in enumerate((2.9, 1.9, 0.9)):
        name = f"worker {worker}"
        text = f"{name}: its 32 examples,\nloss and gradients\n(one compiled function)"
        _box(axes, 3.55, y, 2.3, 0.82, text, BLUE, filled=True, size=8.5)
        _arrow(axes, (1.7, 1.9), (2.4, y))
        _arrow(axes, (4.7, y), (5.45, 1.9 + 0.2 * (y - 1.9)))
        _box(axes, 8.05, y, 1.6, 0.7, f"{name} takes\nthe same step", BLUE, size=9)
        _arrow(axes, (6.75, 1.9 + 0.2 * (y - 1.9)), (7.25, y))
    text = "each sends and receives about 2 × 4 bytes a trained parameter and step"
    axes.text(6.1, 0.16, text, ha="center", color=QUIET, fontsize=9)
    return figure


def export():
    """From one model to what reads it."""
    figure, axes = _canvas(9.6, 3.4)
    _box(axes, 0.85, 1.7, 1.3, 0.9, "trained\nmodel", BLUE, filled=True)
    rows = [
        ("model.save", "model.keras", "Python, to go on:\nktg.load_model"),
        ("model.export", "SavedModel\nwith signatures", "TensorFlow Serving,\nother languages"),
        ('format="litert"', "model.tflite", "phones: every signature\nwithout random numbers"),
        ("backbone.export", "TF-Hub's\nreusable form", "transfer again:\nktg.load_backbone"),
    ]
    for row, (call, file, use) in enumerate(rows):
        y = 2.96 - 0.84 * row
        _arrow(axes, (1.5, 1.7 + 0.2 * (1.5 - row)), (2.25, y))
        axes.text(
            3.0, y, call, ha="center", va="center", color=TEXT, fontsize=9, family="monospace"
        )
        _arrow(axes, (3.75, y), (4.35, y))
        _box(axes, 5.25, y, 1.8, 0.62, file, ORANGE, filled=True, size=9)
        _arrow(axes, (6.15, y), (6.85, y))
        _box(axes, 8.15, y, 2.6, 0.62, use, GREEN, filled=True, size=9)
    return figure
