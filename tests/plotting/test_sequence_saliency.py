"""Letters stand in their places, from the line to their attributions."""

import numpy as np
import pytest

from keras_transgen.plotting import plot_sequence_saliency


def boxes(figure):
    return [patch.get_path().get_extents() for patch in figure.axes[0].patches]


def test_letters_reach_from_the_line_to_their_attributions():
    heights = [2.0, -1.0, 0.0, 0.5]
    found = boxes(plot_sequence_saliency("ACGT", heights, start=10))
    # A zero has no letter.
    for box, place, height in zip(found, (10, 11, 13), (2.0, -1.0, 0.5), strict=True):
        assert (box.y0, box.y1) == pytest.approx((min(0, height), max(0, height)), abs=1e-6)
        assert (box.x0 + box.x1) / 2 == pytest.approx(place, abs=1e-6)
        assert box.width == pytest.approx(0.9)


def test_one_hot_attributions_are_summed():
    attributions = np.zeros((3, 4))
    attributions[1] = [0.5, 0.25, 0.0, 0.25]
    (box,) = boxes(plot_sequence_saliency("ACG", attributions))
    assert box.y1 == pytest.approx(1.0)


def test_each_base_has_its_colour_and_amino_acids_theirs():
    figure = plot_sequence_saliency("AATG", np.ones(4))
    colours = [patch.get_facecolor() for patch in figure.axes[0].patches]
    assert colours[0] == colours[1]
    assert len(set(colours)) == 3
    assert len(boxes(plot_sequence_saliency("MKWL", np.ones(4)))) == 4


@pytest.mark.parametrize(
    ("sequence", "attributions"),
    [("", []), ("AC", [1.0]), ("AC", [1.0, np.nan]), ("A" * 401, np.ones(401))],
)
def test_wrong_settings(sequence, attributions):
    with pytest.raises(ValueError, match="Received"):
        plot_sequence_saliency(sequence, attributions)
