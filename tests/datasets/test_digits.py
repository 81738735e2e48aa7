import numpy as np
import pytest
from sklearn.datasets import load_digits as reference_digits

from keras_transgen.datasets import load_digits, load_digits_split


def test_digits_are_scikit_learns_scaled_to_one():
    images, labels = load_digits()
    reference = reference_digits()

    assert images.shape == (1797, 8, 8, 1)
    assert images.dtype == np.float32
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(images[..., 0] * 16.0, reference.images)
    np.testing.assert_array_equal(labels, reference.target)
    assert images.min() == 0.0
    assert images.max() == 1.0


def test_split_is_fixed_stratified_and_complete():
    (train, train_labels), (test, test_labels) = load_digits_split()
    images, labels = load_digits()

    assert len(train) + len(test) == 1797
    both = np.concatenate([train, test]).reshape(1797, -1)
    together = both[np.lexsort(both.T)]
    everything = images.reshape(1797, -1)
    np.testing.assert_array_equal(together, everything[np.lexsort(everything.T)])
    expected = [round(0.2 * n) for n in np.bincount(labels)]
    assert np.bincount(test_labels).tolist() == expected
    (again, _), _ = load_digits_split()
    np.testing.assert_array_equal(train, again)
    (other, _), _ = load_digits_split(seed=1)
    assert not np.array_equal(train, other)
    assert len(train_labels) == len(train)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 0.001])
def test_split_refuses_fractions_that_leave_a_part_empty(fraction):
    with pytest.raises(ValueError, match="Received"):
        load_digits_split(test_fraction=fraction)
