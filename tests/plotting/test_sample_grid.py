import numpy as np
import pytest
from matplotlib.text import Text

from keras_transgen.plotting import image_mosaic, plot_sample_grid, save_figure
from tests.plotting.figure_checks import assert_readable

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.uniform(size=(12, 8, 8, 1)).astype("float32")
LABELS = np.array([2, 0, 0, 2, 2, 0, 5, 2, 0, 5, 2, 0])


def shown(axes):
    return np.array(axes.images[0].get_array())


def names(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def test_a_grid_is_the_mosaic_of_the_images():
    figure = plot_sample_grid(IMAGES, columns=6, title="Samples")
    (axes,) = figure.axes
    np.testing.assert_array_equal(shown(axes), image_mosaic(IMAGES, columns=6))
    assert_readable(figure)


def test_each_class_has_a_row_in_the_images_order():
    figure = plot_sample_grid(IMAGES, labels=LABELS)
    (axes,) = figure.axes
    assert names(axes) == ["0", "2", "5"]
    tiles = np.ones((3, 5, 8, 8, 3), "float32")
    for row, number in enumerate([0, 2, 5]):
        members = IMAGES[number == LABELS]
        tiles[row, : len(members)] = members
    np.testing.assert_array_equal(shown(axes), image_mosaic(tiles))
    # Each name stands at the middle of its row: rows of 8 pixels and a gap of 1.
    assert axes.get_yticks().tolist() == [3.5, 12.5, 21.5]
    assert_readable(figure)


def test_real_images_stand_beside_the_samples_in_the_same_rows():
    real_labels = np.array([0, 0, 1, 2])
    figure = plot_sample_grid(
        IMAGES * 2 - 1,
        labels=LABELS,
        real=IMAGES[:4] * 2 - 1,
        real_labels=real_labels,
        class_names=["zero", "one", "two", "three", "four", "five"],
        columns=3,
        value_range=(-1.0, 1.0),
    )
    real, samples = figure.axes
    assert (real.get_title(), samples.get_title()) == ("real", "generated")
    # The left side is the one that bears the name.
    assert real.get_position().x1 <= samples.get_position().x0
    assert names(real) == names(samples) == ["zero", "one", "two", "five"]
    np.testing.assert_allclose(shown(real)[:8, :8, 0], IMAGES[0, ..., 0], atol=1e-6)
    np.testing.assert_allclose(shown(real)[9:17, :8, 0], IMAGES[2, ..., 0], atol=1e-6)
    np.testing.assert_array_equal(shown(samples)[9:17], 1.0)
    np.testing.assert_allclose(shown(samples)[:8, :8, 0], IMAGES[1, ..., 0], atol=1e-6)
    assert_readable(figure)


@pytest.mark.parametrize("count", [1, 3, 400])
def test_any_number_of_images_fits_a_page(count):
    images = RANDOM.uniform(size=(count, 8, 8, 3))
    figure = plot_sample_grid(images, real=images, title="T" * 8)
    assert max(figure.get_size_inches()) < 20
    assert_readable(figure)


def test_wrong_input_is_refused():
    for options, message in [
        ({"labels": LABELS[:5]}, r"shape \(5,\)"),
        ({"labels": LABELS.astype(float)}, "float64"),
        ({"labels": LABELS, "real": IMAGES}, "real_labels=None"),
        ({"real": IMAGES, "real_labels": LABELS}, "labels=None"),
        ({"labels": LABELS, "class_names": ["a", "b"]}, "2 names, class 2"),
        ({"real": IMAGES[0]}, r"shape \(8, 8, 1\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            plot_sample_grid(IMAGES, **options)
    with pytest.raises(ValueError, match=r"shape \(12, 8, 8\)"):
        plot_sample_grid(IMAGES[..., 0], labels=LABELS)


def test_a_name_that_is_no_text_is_shown_by_its_codes(tmp_path):
    # As a folder is called whose name is not UTF-8.
    figure = plot_sample_grid(np.zeros((1, 2, 2, 1)), labels=[0], class_names=["a\udcff"])
    save_figure(figure, tmp_path / "grid.png")
    assert "a\\udcff" in [text.get_text() for text in figure.findobj(Text)]
