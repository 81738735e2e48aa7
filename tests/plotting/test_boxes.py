"""Boxes lie where they shall, in the colour and with the name of their class."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from keras_transgen.plotting import plot_boxes
from keras_transgen.plotting.appearance import CLASS_COLOURS

IMAGES = [np.zeros((20, 30, 3), "uint8"), np.full((16, 16, 1), 0.25)]
FOUND = [
    {"boxes": [[2, 4, 12, 9], [0, 0, 5, 5]], "labels": [1, 0], "scores": [0.934, 0.2]},
    {"boxes": [[1, 1, 4, 4], [0, 0, 0, 0]], "labels": [0, -1], "scores": [0.5, 0.0]},
]


def test_boxes_names_and_scores():
    figure = plot_boxes(IMAGES, FOUND, class_names=["cell", "platelet"], score=0.3)
    first, second = figure.axes
    (box,) = first.patches
    # Pixels are drawn around their numbers.
    assert (box.get_x(), box.get_y()) == (1.5, 3.5)
    assert (box.get_width(), box.get_height()) == (10, 5)
    assert to_hex(box.get_edgecolor()).upper() == CLASS_COLOURS[1].upper()
    assert [text.get_text() for text in first.texts] == ["platelet 0.93"]
    assert [text.get_text() for text in second.texts] == ["cell 0.50"]
    np.testing.assert_allclose(second.images[0].get_array()[0, 0], 0.25)


def test_truth_is_dashed_and_without_names():
    truth = [{"boxes": [[3, 3, 8, 8]], "labels": [1]}] * 2
    figure = plot_boxes(IMAGES, FOUND, truth)
    dashed = [box for box in figure.axes[0].patches if box.get_linestyle() == "--"]
    assert [(box.get_x(), box.get_width()) for box in dashed] == [(2.5, 5)]
    assert [text.get_text() for text in figure.axes[0].texts] == ["1 0.93", "0 0.20"]


def test_places_without_an_image_are_empty():
    figure = plot_boxes([IMAGES[0]] * 3, [FOUND[0]] * 3)
    assert [len(axes.images) for axes in figure.axes] == [1, 1, 1, 0]


def test_dollars_are_no_formula():
    found = [{"boxes": [[0, 0, 4, 4]], "labels": [0], "scores": [0.5]}]
    figure = plot_boxes([np.ones((8, 8, 1))], found, class_names=["a$_$b"])
    # Drawing it is where a formula that is none fails.
    figure.canvas.draw()
    assert figure.axes[0].texts[0].get_text() == r"a\$_\$b 0.50"


def test_strips_make_no_endless_figure():
    for shape in ((1000, 1, 1), (1, 1000, 1)):
        figure = plot_boxes([np.ones(shape)], [FOUND[0]])
        assert 1 / 3 - 0.01 < figure.get_figheight() / figure.get_figwidth() < 3.01


def test_what_does_not_go_together_is_refused():
    with pytest.raises(ValueError, match="1 images, found of 2"):
        plot_boxes(IMAGES[:1], FOUND)
    with pytest.raises(ValueError, match="2 images, truth of 1"):
        plot_boxes(IMAGES, FOUND, FOUND[:1])
    with pytest.raises(ValueError, match="at least one"):
        plot_boxes([], [])
    with pytest.raises(ValueError, match="columns of at least 1"):
        plot_boxes(IMAGES, FOUND, columns=0)
