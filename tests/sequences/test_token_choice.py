import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from keras_transgen.sequences.decoding.token_choice import Choice, next_tokens

LOGITS = np.array([1.0, 3.0, 2.0, -1.0, 2.5], "float32")


def shares(choice, count=20_000):
    """How often each token is taken for evenly spaced uniform numbers."""
    uniform = (np.arange(count) + 0.5) / count
    tokens = next_tokens(
        choice.mode,
        tf.constant(np.repeat(LOGITS[None], count, 0)),
        tf.constant(uniform, tf.float32),
        choice.numbers(5),
    )
    return np.bincount(tokens.numpy(), minlength=5) / count


def expected(temperature=1.0, top_k=5, top_p=1.0):
    probabilities = scipy.special.softmax(LOGITS.astype(float) / temperature)
    order = np.argsort(-probabilities)
    kept = order[:top_k]
    among = probabilities[kept] / probabilities[kept].sum()
    kept = kept[: np.searchsorted(np.cumsum(among), top_p) + 1]
    found = np.zeros(5)
    found[kept] = probabilities[kept] / probabilities[kept].sum()
    return found


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"temperature": 0.5},
        {"temperature": 2.0},
        {"top_k": 2},
        {"top_k": 3, "temperature": 1.5},
        {"top_p": 0.6},
        {"top_p": 0.05},
        {"top_k": 4, "top_p": 0.9, "temperature": 0.7},
    ],
    ids=str,
)
def test_tokens_come_as_often_as_they_should(settings):
    np.testing.assert_allclose(shares(Choice(**settings)), expected(**settings), atol=2e-4)


def test_the_likeliest_token():
    for choice in (Choice(temperature=0.0), Choice(top_k=1)):
        np.testing.assert_array_equal(shares(choice, 10), [0, 1, 0, 0, 0])


def test_a_uniform_number_next_to_one_takes_a_token_that_may_come():
    nearly = np.nextafter(np.float32(1), np.float32(0))
    for choice in (Choice(), Choice(top_k=2), Choice(top_p=0.5)):
        token = next_tokens(
            choice.mode, tf.constant(LOGITS[None]), tf.constant([nearly]), choice.numbers(5)
        )
        assert expected(top_k=choice.top_k or 5, top_p=choice.top_p or 1.0)[int(token[0])] > 0


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"temperature": "hot"},
        {"top_k": 0},
        {"top_k": 1.5},
        {"top_k": True},
        {"top_p": 0.0},
        {"top_p": 1.1},
    ],
    ids=str,
)
def test_what_is_no_way_to_choose_is_refused(settings):
    with pytest.raises(ValueError, match=f"{next(iter(settings))} must be .*Received"):
        Choice(**settings).check()
