import numpy as np
import pytest

from keras_transgen.plotting import image_mosaic


def test_every_image_is_at_its_place_between_white_gaps():
    images = np.random.default_rng(0).uniform(size=(5, 4, 3, 3)).astype("float32")
    mosaic = image_mosaic(images, columns=3, gap=2)
    assert mosaic.shape == (2 * 4 + 2, 3 * 3 + 2 * 2, 3)
    covered = np.zeros(mosaic.shape[:2], bool)
    for i, image in enumerate(images):
        rows = slice(6 * (i // 3), 6 * (i // 3) + 4)
        columns = slice(5 * (i % 3), 5 * (i % 3) + 3)
        np.testing.assert_array_equal(mosaic[rows, columns], image)
        covered[rows, columns] = True
    np.testing.assert_array_equal(mosaic[~covered], 1.0)


def test_grey_becomes_colour_and_ranges_black_and_white():
    grey = np.array([-1.0, 0.0, 1.0, 3.0]).reshape(1, 2, 2, 1)
    expected = np.array([[0.0, 0.5], [1.0, 1.0]])
    mosaic = image_mosaic(grey, value_range=(-1.0, 1.0))
    for channel in range(3):
        np.testing.assert_allclose(mosaic[..., channel], expected)
    levels = np.array([0, 51, 255, 102], "uint8").reshape(1, 2, 2, 1)
    np.testing.assert_allclose(
        image_mosaic(levels, value_range=(-1.0, 1.0))[..., 0], [[0, 0.2], [1, 0.4]], atol=1e-6
    )


def test_the_default_is_a_square_and_five_axes_are_rows_and_columns():
    images = np.zeros((10, 8, 8, 1))
    assert image_mosaic(images).shape == (3 * 8 + 2, 4 * 8 + 3, 3)
    grid = np.random.default_rng(0).uniform(size=(2, 3, 4, 4, 1)).astype("float32")
    np.testing.assert_array_equal(
        image_mosaic(grid), image_mosaic(grid.reshape(6, 4, 4, 1), columns=3)
    )


def test_pixels_that_are_no_numbers_are_magenta():
    images = np.zeros((1, 2, 2, 1))
    images[0, 1, 0] = np.nan
    mosaic = image_mosaic(images)
    assert mosaic[1, 0].tolist() == [1.0, 0.0, 1.0]
    assert mosaic[0, 0].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("shape", [(4, 8, 8), (4, 8, 8, 2), (0, 8, 8, 1), (2, 2, 4, 8, 8, 1)])
def test_wrong_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="Received: shape"):
        image_mosaic(np.zeros(shape))


@pytest.mark.parametrize("options", [{"columns": 0}, {"gap": -1}, {"value_range": (1.0, 1.0)}])
def test_wrong_arguments_are_refused(options):
    with pytest.raises(ValueError, match="Received"):
        image_mosaic(np.zeros((1, 8, 8, 1)), **options)
