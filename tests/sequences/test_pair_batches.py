import keras
import numpy as np
import pytest

from keras_transgen.sequences.pair_batches import Pairs, buckets, pair_batches
from keras_transgen.training.progress import Progress


def random_pairs(count=300, seed=0):
    draws = np.random.default_rng(seed)
    lengths = draws.integers(2, 50, (count, 2))
    return Pairs(*([draws.integers(4, 99, n).tolist() for n in side] for side in lengths.T))


def rows_of(batches):
    return sorted(
        (tuple(s[s > 0]), tuple(t[t > 0]))
        for source, target in batches.as_numpy_iterator()
        for s, t in zip(source, target)
        if s.any()
    )


@pytest.mark.parametrize("settings", [{}, {"batch_size": 7}, {"replicas": 2}], ids=str)
def test_every_pair_comes_once_an_epoch(settings):
    pairs = random_pairs()
    expected = sorted((tuple(s), tuple(t)) for s, t in zip(*pairs))
    grouped = buckets(pairs, 256, **settings)
    keras.utils.set_random_seed(0)
    for progress in (None, Progress()):
        batches = pair_batches(pairs, grouped, progress)
        assert rows_of(batches) == expected
        assert int(batches.cardinality()) == sum(1 for _ in batches)


def test_batches_have_few_shapes_and_about_equally_many_tokens():
    pairs = random_pairs()
    grouped = buckets(pairs, 512)
    shapes = {
        (source.shape, target.shape)
        for source, target in pair_batches(pairs, grouped).as_numpy_iterator()
    }
    assert 2 <= len(grouped) <= 4
    assert len(shapes) == len(grouped)
    for source, target in shapes:
        tokens = source[0] * max(source[1], target[1])
        assert 0.7 * 512 <= tokens <= 512


def test_replicas_share_every_batch():
    pairs = random_pairs(11)
    for bucket in buckets(pairs, 64, replicas=4):
        assert bucket.batch_size % 4 == 0


def test_epochs_have_orders_of_their_own_which_a_resumed_run_repeats():
    pairs = random_pairs()
    grouped = buckets(pairs, 256)
    keras.utils.set_random_seed(0)
    progress = Progress()
    batches = pair_batches(pairs, grouped, progress)

    def order():
        return [source[:, 0].tolist() for source, _ in batches.as_numpy_iterator()]

    first = order()
    assert order() == first
    progress.step.assign(len(first))
    second = order()
    assert second != first
    again = Progress()
    again.restore(progress.state())
    batches = pair_batches(pairs, grouped, again)
    assert order() == second
