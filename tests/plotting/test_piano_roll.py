import pytest

from keras_transgen.plotting import plot_piano_roll
from keras_transgen.plotting.appearance import LINE_COLOURS
from tests.plotting.figure_checks import assert_readable

PIECE = [[60, 64], [60], [], [60, 72]]


def bars(axes):
    """Left, bottom, width, height and colour of each note."""
    found = []
    for collection in axes.collections:
        for path, colour in zip(collection.get_paths(), collection.get_facecolors()):
            box = path.get_extents()
            if box.height > 0:
                found.append((*map(float, (box.x0, box.y0, box.width, box.height)), tuple(colour)))
    return found


def test_held_pitches_are_one_bar():
    figure = plot_piano_roll([PIECE], names=["a piece"], frames_per_beat=2, title="Music")
    (axes,) = figure.axes
    found = sorted((x, y, w) for x, y, w, _, _ in bars(axes))
    assert found == [
        pytest.approx((0.0, 60.1, 1.0)),
        pytest.approx((0.0, 64.1, 0.5)),
        pytest.approx((1.5, 60.1, 0.5)),
        pytest.approx((1.5, 72.1, 0.5)),
    ]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["60 (C4)", "72 (C5)"]
    assert axes.get_xlim() == (0.0, 2.0)
    assert_readable(figure)


def test_what_is_given_has_its_own_colour_and_ends_there():
    figure = plot_piano_roll([PIECE, [[50]] * 5], given=1, names=["one", "two"])
    first, second = figure.axes
    assert sorted((x, y, w) for x, y, w, _, _ in bars(first))[:3] == [
        pytest.approx((0.0, 60.1, 1.0)),
        pytest.approx((0.0, 64.1, 1.0)),
        pytest.approx((1.0, 60.1, 1.0)),
    ]
    import matplotlib.colors

    colours = {x: matplotlib.colors.to_hex(colour).upper() for x, *_, colour in bars(second)}
    assert colours == {0.0: LINE_COLOURS[1], 1.0: LINE_COLOURS[0]}
    assert first.get_xlim() == second.get_xlim() == (0.0, 5.0)
    assert first.get_ylim() == second.get_ylim()
    assert_readable(figure)


@pytest.mark.parametrize(
    ("pieces", "options"),
    [
        ([], {}),
        ([[[]]], {}),
        ([[60]], {}),
        ([[[60.5]]], {}),
        ([[[128]]], {}),
        ([[[60]]], {"names": []}),
        ([[[60]]], {"given": -1}),
        ([[[60]]], {"frames_per_beat": 0}),
    ],
)
def test_wrong_input_is_refused(pieces, options):
    with pytest.raises(ValueError, match="Received"):
        plot_piano_roll(pieces, **options)
