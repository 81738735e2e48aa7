"""The pool against a list in Python."""

import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.generative.translation.image_pool import ImagePool


def numbered(*numbers):
    return tf.constant(np.array(numbers, "float32").reshape(-1, 1, 1, 1))


def exchanged(pool, images, coins, places, compiled=False):
    step = tf.function(pool.exchange, jit_compile=True) if compiled else pool.exchange
    numbers = {"coins": tf.constant(coins), "places": tf.constant(places)}
    return step(images, numbers).numpy().ravel().tolist()


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_fills_first_and_then_exchanges(compiled):
    pool = ImagePool(3, (1, 1, 1))
    places = [0.5, 0.1, 0.9]  # sorted: places 1, 0, 2
    # Two images find a place, in order; of the next two the first fills the pool.
    assert exchanged(pool, numbered(1, 2), [0.0, 0.0], places, compiled) == [1, 2]
    assert exchanged(pool, numbered(3, 4), [0.0, 0.0], places, compiled) == [3, 4]
    assert pool.images.numpy().ravel().tolist() == [1, 2, 3]
    # Full: the first of the batch goes to place 1 on a coin below a half, the second stays out.
    assert exchanged(pool, numbered(5, 6), [0.2, 0.7], places, compiled) == [2, 6]
    assert pool.images.numpy().ravel().tolist() == [1, 5, 3]
    # A batch larger than the pool: only as many as there are places can change.
    result = exchanged(pool, numbered(7, 8, 9, 10), [0.1] * 4, places, compiled)
    assert result == [5, 1, 3, 10]
    assert pool.images.numpy().ravel().tolist() == [8, 7, 9]


def test_no_image_is_lost_or_doubled():
    """What went in is in the pool or has come out, and half of the full batches are older."""
    rng = np.random.default_rng(0)
    pool = ImagePool(8, (1, 1, 1))
    after, older = [], []
    for step in range(100):
        batch = np.arange(4) + 4 * step
        numbers = pool.draw(tf.constant(4), tf.constant(rng.integers(0, 2**31, 2), tf.int32))
        out = pool.exchange(numbered(*batch), numbers).numpy().ravel()
        if step >= 2:
            after += out.tolist()
            older.append(np.mean(~np.isin(out, batch)))
    held = pool.images.numpy().ravel().tolist()
    # The first eight were handed back once while they were stored, and may come out again.
    assert sorted(after + held) == list(range(400))
    # 98 batches of 4 fair coins.
    assert np.mean(older) == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / 392))


def test_a_replica_without_images_changes_nothing():
    pool = ImagePool(2, (1, 1, 1))
    exchanged(pool, numbered(1, 2), [0.0, 0.0], [0.1, 0.2])
    assert exchanged(pool, numbered(), np.zeros(0, "float32"), [0.1, 0.2]) == []
    assert pool.images.numpy().ravel().tolist() == [1, 2]


def test_a_pool_of_no_size_hands_everything_back():
    images = numbered(1, 2, 3)
    assert ImagePool(0, (1, 1, 1)).exchange(images, {}) is images
    with pytest.raises(ValueError, match="pool_size=-1"):
        ImagePool(-1, (1, 1, 1))
