import itertools

import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from keras_transgen.sequences.decoding.beam_search import beam_search

# Four special tokens, of which the end may come, and three others.
SIZE, LENGTH = 7, 4
NEVER = np.isin(np.arange(SIZE), [0, 1, 3])


def tables(seed, rows=2):
    """For each example the logits after each token: its tokens are a Markov chain."""
    draws = np.random.default_rng(seed)
    return draws.normal(size=(rows, SIZE, SIZE), scale=2.0).astype("float32")


def brute_force(table, penalty):
    """All texts that end within LENGTH tokens, the best first."""
    logs = scipy.special.log_softmax(table.astype(float), axis=-1)
    found = []
    for length in range(LENGTH):
        for tokens in itertools.product([4, 5, 6], repeat=length):
            path = [1, *tokens, 2]
            total = sum(logs[a, b] for a, b in itertools.pairwise(path))
            found.append((total / (length + 1) ** penalty, [*tokens, 2]))
    return sorted(found, reverse=True)


def search(table, width, penalty, steps=16):
    table = tf.constant(table)
    rows = tf.repeat(tf.range(table.shape[0]), width)

    def step(token, count, state):
        return tf.gather_nd(table, tf.stack([rows, token], axis=1)), state

    @tf.function(jit_compile=True, autograph=False)
    def run():
        return beam_search(
            step,
            table[:, 1],
            [],
            width,
            steps,
            tf.constant(LENGTH),
            tf.constant(penalty),
            tf.constant(NEVER),
        )

    return run()


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0, 2.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_wide_beam_finds_what_brute_force_finds(seed, penalty):
    table = tables(seed)
    width = 3**LENGTH
    found = search(table, width, penalty)
    for example in range(len(table)):
        best = brute_force(table[example], penalty)[:10]
        scores = found.scores.numpy()[example, :10]
        np.testing.assert_allclose(scores, [score for score, _ in best], rtol=1e-5)
        first = found.tokens.numpy()[example, 0]
        assert first[: len(best[0][1])].tolist() == best[0][1]
        assert not first[len(best[0][1]) :].any()


def test_a_hypothesis_that_ended_keeps_its_score():
    """After its end a text is followed by what is sure; it must not gain by it, nor lose."""
    table = np.full((1, SIZE, SIZE), -20.0, "float32")
    # The end has 0.6, the other way 0.4 and then surely an end.
    table[0, 1, 2], table[0, 1, 4] = np.log(0.6), np.log(0.4)
    table[0, 4, 2] = 20.0
    table[0, 2] = 0.0
    found = search(table, 2, 0.0)
    assert found.tokens.numpy()[0, :, :3].tolist() == [[2, 0, 0], [4, 2, 0]]
    np.testing.assert_allclose(np.exp(found.scores.numpy()[0]), [0.6, 0.4], rtol=1e-5)


def test_without_an_end_the_likeliest_so_far_is_returned():
    table = tables(0, rows=1)
    table[:, :, 2] = -np.inf
    found = search(table, 3**LENGTH, 1.0)
    logs = scipy.special.log_softmax(table[0].astype(float), axis=-1)
    best = max(
        itertools.product([4, 5, 6], repeat=LENGTH),
        key=lambda tokens: sum(logs[a, b] for a, b in itertools.pairwise([1, *tokens])),
    )
    assert found.tokens.numpy()[0, 0, :LENGTH].tolist() == list(best)
    assert found.scores.numpy()[0, 0] < -1e29
