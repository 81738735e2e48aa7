"""The order of the examples depends on the seed and the step, and covers every row once."""

import numpy as np
import pytest

from keras_transgen.training.batches import check_lengths, shuffled_batches, split_last
from keras_transgen.training.progress import Progress
from tests.training.models import TwoPlayers


def order(progress, rows=10, batch_size=4):
    x = np.arange(rows)
    batches = [
        (a.numpy(), b.numpy()) for a, b in shuffled_batches((x, x * 2), batch_size, progress)
    ]
    for one, other in batches:
        np.testing.assert_array_equal(one * 2, other)
    assert [len(one) for one, _ in batches] == [4, 4, 2]
    return np.concatenate([one for one, _ in batches])


def test_every_row_once_and_anew_each_epoch():
    progress = Progress()
    progress.seed.assign(1)
    first = order(progress)
    np.testing.assert_array_equal(np.sort(first), np.arange(10))
    progress.step.assign(3)
    second = order(progress)
    assert (first != second).any()
    # Within the epoch the order stays: the third step of an epoch that began at step 0.
    progress.step_in_epoch.assign(3)
    np.testing.assert_array_equal(order(progress), first)


def test_cardinality_is_known():
    assert int(shuffled_batches((np.zeros(10),), 4, Progress()).cardinality()) == 3


def test_lengths_are_checked():
    assert check_lengths((np.zeros((3, 2)), np.zeros(3), None)) == 3
    with pytest.raises(ValueError, match=r"same number of rows.*\[3, 2\]"):
        check_lengths((np.zeros(3), np.zeros(2)))
    with pytest.raises(ValueError, match="empty"):
        check_lengths((np.zeros((0, 2)),))


def test_split_holds_out_the_last_rows():
    (x, _, _), (held_x, held_y, _) = split_last((np.arange(10), np.arange(10) * 2, None), 0.3)
    np.testing.assert_array_equal(x, np.arange(7))
    np.testing.assert_array_equal(held_x, [7, 8, 9])
    np.testing.assert_array_equal(held_y, [14, 16, 18])
    with pytest.raises(ValueError, match="validation_split"):
        split_last((np.arange(3),), 1.0)


def test_several_inputs_stay_several():
    first, second = np.arange(6), np.arange(6).astype("float32") * 10
    data = shuffled_batches(([first, second], np.arange(6)), 3, Progress())
    for (one, other), labels in data:
        np.testing.assert_array_equal(one, labels)
        np.testing.assert_array_equal(other, labels.numpy() * 10.0)


def test_weights_of_examples_without_labels_are_refused():
    """Keras drops them without a word."""
    model = TwoPlayers()
    model.compile(jit_compile=False)
    data = np.ones((24, 4), "float32")
    message = r"Pass y, too.*sample_weight of shape \(24,\)"
    with pytest.raises(ValueError, match=message):
        model.fit(data, sample_weight=np.ones(24), verbose=0)
    with pytest.raises(ValueError, match=message):
        model.fit(data, validation_data=(data, None, np.ones(24)), verbose=0)
    with pytest.raises(ValueError, match=message):
        model.evaluate(data, sample_weight=np.ones(24), verbose=0)
    assert int(model.progress.step.numpy()) == 0
