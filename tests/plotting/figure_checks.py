"""What every figure must keep, asked of the rendered figure."""

from itertools import combinations

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def rendered(figure):
    """Draw the figure; pyplot must not know it."""
    assert isinstance(figure, Figure)
    manager = matplotlib._pylab_helpers.Gcf
    assert not manager.get_all_fig_managers()
    FigureCanvasAgg(figure).draw()
    return figure


def undrawn(figure):
    """Texts that exist and are not drawn: of hidden axes, and of ticks outside the limits."""
    found = set()
    for axes in figure.axes:
        if not axes.get_visible():
            found.update(axes.findobj(matplotlib.text.Text))
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            room = 1e-9 * (high - low)
            for which in (axis.get_major_ticks(), axis.get_minor_ticks()):
                for tick in which:
                    if not low - room <= tick.get_loc() <= high + room:
                        found.update((tick.label1, tick.label2))
    return found


def texts(figure):
    """Text, box and rotation of every text that is drawn."""
    renderer = figure.canvas.get_renderer()
    hidden = undrawn(figure)
    found = []
    for artist in figure.findobj(matplotlib.text.Text):
        box = artist.get_window_extent(renderer)
        drawn = artist.get_visible() and artist not in hidden and artist.get_text().strip()
        if drawn and box.width and box.height:
            found.append((artist.get_text(), box, artist.get_rotation()))
    assert found
    return found


def assert_readable(figure):
    """No text runs over another or out of the figure."""
    drawn = texts(rendered(figure))
    width, height = figure.get_size_inches() * figure.dpi
    for text, box, _ in drawn:
        assert box.x0 > -1, text
        assert box.y0 > -1, text
        assert box.x1 < width + 1, text
        assert box.y1 < height + 1, text
    # Boxes of slanted texts overlap though the texts do not.
    straight = [(text, box) for text, box, rotation in drawn if rotation in (0.0, 90.0)]
    for (one, box), (other, other_box) in combinations(straight, 2):
        inner = box.padded(-1.0)
        assert not inner.overlaps(other_box.padded(-1.0)), f"{one!r} over {other!r}"


def named_rows(figure) -> dict[str, np.ndarray]:
    """The line of pixels in the middle of each named row of a mosaic, float `[width, 3]`."""
    axes = figure.axes[0]
    pixels = np.asarray(axes.images[0].get_array())
    names = [label.get_text() for label in axes.get_yticklabels()]
    return {name: pixels[int(place)] for name, place in zip(names, axes.get_yticks(), strict=True)}
