import numpy as np
import pytest

from keras_transgen.plotting import image_mosaic, plot_traversal
from tests.plotting.figure_checks import assert_readable

IMAGES = np.random.default_rng(0).uniform(size=(3, 5, 8, 8, 1)).astype("float32")


def test_rows_are_units_and_columns_values():
    figure = plot_traversal(IMAGES, values=[-2, -0.5, 0, 1, 2.25])
    (axes,) = figure.axes
    np.testing.assert_array_equal(np.array(axes.images[0].get_array()), image_mosaic(IMAGES))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["unit 0", "unit 1", "unit 2"]
    marks = [label.get_text() for label in axes.get_xticklabels()]
    assert marks == ["\N{MINUS SIGN}2", "\N{MINUS SIGN}0.5", "0", "+1", "+2.25"]
    assert axes.get_xticks().tolist() == [3.5, 12.5, 21.5, 30.5, 39.5]
    assert_readable(figure)


@pytest.mark.parametrize("shape", [(1, 3), (20, 9), (2, 15)])
def test_any_number_of_units_is_readable(shape):
    images = np.zeros((*shape, 8, 8, 3))
    assert_readable(plot_traversal(images, values=np.linspace(-3, 3, shape[1])))


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match=r"Received: shape \(5, 8, 8, 1\)"):
        plot_traversal(IMAGES[0])
    with pytest.raises(ValueError, match="Expected 5 values"):
        plot_traversal(IMAGES, values=[1, 2])
    with pytest.raises(ValueError, match="Expected 3 names"):
        plot_traversal(IMAGES, unit_names=["a"])
