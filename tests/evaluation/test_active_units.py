import numpy as np
import pytest

from keras_transgen.evaluation import active_units


def test_units_are_counted_by_the_variance_of_their_mean():
    # Two values +d and -d in equal shares have variance d^2 exactly.
    deviations = np.array([1.0, 0.11, 0.09, 0.0])
    means = np.stack([deviations, -deviations] * 50) + 3.0
    assert active_units(means) == 2
    assert active_units(means, threshold=0.005) == 3
    assert active_units(means, threshold=0.0) == 3
    assert active_units(-means[::-1]) == 2


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="at least 2 rows in posterior_means"):
        active_units(np.zeros((1, 3)))
    with pytest.raises(ValueError, match=r"posterior_means\.shape=\(3,\)"):
        active_units(np.zeros(3))
    with pytest.raises(ValueError, match="row 1"):
        active_units([[0.0], [np.nan]])
    with pytest.raises(ValueError, match="threshold=-1"):
        active_units(np.zeros((2, 3)), threshold=-1.0)
