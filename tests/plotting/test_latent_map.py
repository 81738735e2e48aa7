import numpy as np
import pytest
from sklearn.decomposition import PCA

from keras_transgen.plotting import plot_latent_map
from tests.plotting.figure_checks import assert_readable

RANDOM = np.random.default_rng(0)
LABELS = np.repeat([0, 1, 4], 40)
POINTS = RANDOM.normal(size=(120, 6)) + 4 * np.eye(6)[LABELS]


def test_two_dimensions_are_drawn_as_they_are_by_class():
    figure = plot_latent_map(POINTS[:, :2], LABELS)
    axes = figure.axes[0]
    for dots, number in zip(axes.collections, [0, 1, 4]):
        np.testing.assert_allclose(dots.get_offsets(), POINTS[number == LABELS, :2])
    colours = {tuple(dots.get_facecolor()[0]) for dots in axes.collections}
    assert len(colours) == 3
    assert axes.get_xlabel() == "latent unit 0"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["0", "1", "4"]
    assert_readable(figure)


def test_more_dimensions_are_drawn_by_their_principal_components():
    figure = plot_latent_map(POINTS)
    axes = figure.axes[0]
    centred = POINTS - POINTS.mean(axis=0)
    _, values, directions = np.linalg.svd(centred, full_matrices=False)
    expected = centred @ directions[:2].T
    drawn = np.array(axes.collections[0].get_offsets())
    # The sign of a principal component is free.
    np.testing.assert_allclose(np.abs(drawn), np.abs(expected), atol=1e-9)
    share = 100 * values[0] ** 2 / np.sum(values**2)
    assert f"({share:.0f} % of variance)" in axes.get_xlabel()
    assert PCA(2).fit(POINTS).explained_variance_ratio_[0] * 100 == pytest.approx(share)


def test_names_stand_at_the_medians():
    axes = plot_latent_map(POINTS[:, :2], LABELS, list("abcde")).axes[0]
    written = {text.get_text(): text.get_position() for text in axes.texts}
    for name, number in (("a", 0), ("b", 1), ("e", 4)):
        np.testing.assert_allclose(written[name], np.median(POINTS[number == LABELS, :2], axis=0))


def test_names_of_a_collapsed_map_do_not_hide_each_other():
    names = ["daisy", "dandelion", "rose", "sunflower", "tulip"]
    labels = np.arange(300) % 5
    figure = plot_latent_map(RANDOM.normal(size=(300, 2)), labels, names)
    assert_readable(figure)
    legend = figure.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == names


def test_wrong_input_is_refused():
    for bad, message in [
        (POINTS[:, :1], r"shape \(120, 1\)"),
        (POINTS[0], r"shape \(6,\)"),
        (np.where(np.arange(120)[:, None] == 7, np.nan, POINTS), "row 7"),
    ]:
        with pytest.raises(ValueError, match=message):
            plot_latent_map(bad)
    with pytest.raises(ValueError, match=r"labels of shape \(3,\)"):
        plot_latent_map(POINTS, LABELS[:3])
    with pytest.raises(ValueError, match="2 names, class 4"):
        plot_latent_map(POINTS, LABELS, ["a", "b"])
