"""Rows of images: their order, their sizes, what is refused."""

import numpy as np
import pytest

from keras_transgen.plotting.translations import plot_translations


def test_rows_stand_in_order_and_small_images_are_enlarged():
    small = np.zeros((2, 4, 4, 1))
    small[1] = 1.0
    large = np.full((2, 8, 8, 3), [1.0, 0.0, 0.0])
    figure = plot_translations({"input": small, "made": large})
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["input", "made"]
    shown = np.asarray(axes.images[0].get_array())
    # Two rows and two columns of 8 pixels, with a gap of one between them.
    assert shown.shape == (17, 17, 3)
    np.testing.assert_array_equal(shown[:8, :8], 0.0)
    np.testing.assert_array_equal(shown[:8, 9:], 1.0)
    np.testing.assert_array_equal(shown[9:, 9:], np.full((8, 8, 3), [1.0, 0.0, 0.0]))


def test_a_size_that_does_not_divide_is_framed_in_white():
    figure = plot_translations({"a": np.zeros((1, 6, 6, 1)), "b": np.zeros((1, 8, 8, 1))})
    shown = np.asarray(figure.axes[0].images[0].get_array())
    np.testing.assert_array_equal(shown[1:7, 1:7], 0.0)
    assert shown[0].min() == 1.0
    assert shown[7].min() == 1.0


def test_unequal_rows_are_refused():
    with pytest.raises(ValueError, match="as many images in every row"):
        plot_translations({"a": np.zeros((1, 4, 4, 1)), "b": np.zeros((2, 4, 4, 1))})
    with pytest.raises(ValueError, match="rows of images"):
        plot_translations({"a": np.zeros((4, 4, 1))})
