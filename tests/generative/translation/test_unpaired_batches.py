"""Two arrays of any lengths: every image as often as it should, and partners by chance."""

import numpy as np

from keras_transgen.generative.translation.unpaired_batches import unpaired_batches
from keras_transgen.training.progress import Progress


def epoch(data):
    batches = [(a.numpy(), b.numpy()) for a, b in data]
    return [np.concatenate(side) for side in zip(*batches)], [len(a) for a, _ in batches]


def test_the_longer_array_once_and_the_shorter_over_and_over():
    progress = Progress()
    progress.seed.assign(3)
    data = unpaired_batches(np.arange(7), np.arange(100, 103), 4, progress)
    assert len(data) == 2
    (a, b), sizes = epoch(data)
    assert sizes == [4, 3]
    assert sorted(a) == list(range(7))
    assert sorted(b[:3]) == sorted(b[3:6]) == [100, 101, 102]


def test_partners_change_with_the_step_and_come_back_with_it():
    progress = Progress()
    data = unpaired_batches(np.arange(50), np.arange(50), 50, progress)
    (a, b), _ = epoch(data)
    # Shuffled independently: about one of 50 meets its own number, not all.
    assert np.sum(a == b) < 10
    progress.step.assign(1)
    (other, _), _ = epoch(data)
    assert not np.array_equal(a, other)
    progress.step.assign(0)
    (again, partners), _ = epoch(data)
    np.testing.assert_array_equal(again, a)
    np.testing.assert_array_equal(partners, b)


def test_in_order_without_a_run():
    (a, b), _ = epoch(unpaired_batches(np.arange(3), np.arange(5), 2))
    assert a.tolist() == [0, 1, 2, 0, 1]
    assert b.tolist() == [0, 1, 2, 3, 4]
