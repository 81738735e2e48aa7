"""Rare classes filled up: real rows kept, samples where the class lies, wrong data refused."""

import keras
import numpy as np
import pandas as pd
import pytest

from keras_transgen.fusion import balance_classes
from keras_transgen.fusion.class_balance import samples_of_classes
from tests.fusion.test_feature_vae import scaled_truth

CENTRES = np.array([[0.0, 0.0, 5.0, 1.0], [24.0, -6.0, 5.0, 1.0], [0.0, 6.0, 5.0, -17.0]])
SPREAD = np.array([4.0, 1.0, 0.5, 3.0])


def clouds(counts, seed=0):
    """Rows of three Gaussians far apart, and which they are of."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), counts)
    rows = CENTRES[labels] + SPREAD * rng.normal(size=(len(labels), 4))
    mixed = rng.permutation(len(labels))
    return rows[mixed].astype("float32"), labels[mixed]


ROWS, LABELS = clouds((60, 40, 5))


@pytest.mark.slow
def test_real_rows_come_first_and_samples_lie_in_their_classes():
    x, y = balance_classes(ROWS, LABELS, latent_dim=3, epochs=90, seed=0, verbose=0)
    np.testing.assert_array_equal(x[:105], ROWS)
    np.testing.assert_array_equal(y[:105], LABELS)
    assert y[105:].tolist() == [1] * 20 + [2] * 55
    assert (x.dtype, y.dtype) == (np.float32, np.int64)
    for each in (1, 2):
        apart = x[105:][y[105:] == each].mean(axis=0) - ROWS[each == LABELS].mean(axis=0)
        # The classes' centres lie about two of these deviations apart.
        assert (np.abs(apart)[[0, 1, 3]] < 0.6 * ROWS.std(axis=0)[[0, 1, 3]]).all()


@pytest.mark.slow
def test_unlabelled_rows_tell_where_a_class_of_five_lies_and_how_wide_it_is():
    """The five are all at one end of their class; the samples are not."""
    many, theirs = clouds((300, 300, 300), seed=1)
    third = many[theirs == 2]
    at_the_end = third[np.argsort(third[:, 0])[-5:]]
    few, few_labels = clouds((60, 60, 0), seed=2)
    x, y = balance_classes(
        np.concatenate([few, at_the_end]),
        np.concatenate([few_labels, np.full(5, 2)]),
        many,
        count=400,
        latent_dim=3,
        epochs=20,
        seed=0,
        verbose=0,
    )
    assert np.bincount(y).tolist() == [400, 400, 400]
    samples = x[125:][y[125:] == 2]
    assert at_the_end[:, 0].mean() > 8.0
    assert abs(samples[:, 0].mean()) < 2.0
    assert samples[:, 0].std() > at_the_end[:, 0].std()


def test_samples_are_of_the_mixture_of_posteriors():
    """With linear networks the mean of a class's samples has a closed form."""
    truth, vae, standard, features = scaled_truth()
    labels = (standard[:30, 0] > truth.bias[0]).astype(int)
    wanted = np.repeat([0, 1], 3000)
    samples, found = samples_of_classes(
        vae, features[:30], labels, features[30:], wanted, unlabelled_weight=0.0, seed=4
    )
    shares = np.concatenate([np.eye(2)[labels], found])
    assert found.shape == (170, 2)
    latents = standard @ truth.encode.T - truth.encode @ truth.bias
    for each in (0, 1):
        latent = shares[:, each] @ latents / shares[:, each].sum()
        expected = (latent @ truth.weights.T + truth.bias) * vae.feature_scale.deviation + (
            vae.feature_scale.mean
        )
        rows = samples[wanted == each]
        assert (np.abs(rows.mean(axis=0) - expected) < 4.0 * rows.std(axis=0) / 3000**0.5).all()


@pytest.mark.slow
def test_a_seed_gives_the_same_rows_whatever_keras_own_seed_is():
    def called(seed, of_keras):
        keras.utils.set_random_seed(of_keras)
        x, _ = balance_classes(ROWS, LABELS, ROWS, epochs=1, latent_dim=2, seed=seed, verbose=0)
        return x

    one, other = called(3, 7), called(3, 8)
    np.testing.assert_array_equal(one, other)
    assert not np.allclose(one[105:], called(4, 7)[105:])


@pytest.mark.parametrize("kind", [pd.Series, list])
def test_labels_may_be_names(kind):
    names = np.array(["wolf", "ant", "10"])[LABELS]
    x, y = balance_classes(pd.DataFrame(ROWS), kind(names), count=60, epochs=1, verbose=0, seed=0)
    np.testing.assert_array_equal(y[:105], names)
    assert sorted(y[105:].tolist()) == ["10"] * 55 + ["ant"] * 20
    np.testing.assert_array_equal(x[:105], ROWS)


def test_nothing_is_trained_where_no_class_is_short(monkeypatch):
    monkeypatch.setattr("keras_transgen.fusion.class_balance.trained_vae", None)
    x, y = balance_classes(ROWS, LABELS, count=5)
    np.testing.assert_array_equal(x, ROWS)
    np.testing.assert_array_equal(y, LABELS)


BROKEN = np.where(np.arange(105)[:, None] == 3, np.nan, ROWS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((ROWS, 0 * LABELS), "two classes or more.*105 rows, all of class 0"),
        ((ROWS, np.full(105, "ant")), "all of class ant"),
        ((ROWS, ["ant"] * 104 + [None]), "1 missing value, the first in row 104"),
        ((ROWS, np.array(["ant", float("nan"), "bee"] * 35, object)), "35 missing.*in row 1"),
        ((ROWS, LABELS - 1), "give rows without one as unlabelled=.*60 labels below 0"),
        ((ROWS, 2 * LABELS), "labels up to 4, and no row of class 1"),
        ((ROWS, LABELS[:9]), "Received: 105 examples, y of shape \\(9,\\)"),
        ((ROWS, LABELS / 2), "an integer from 0 up"),
        ((BROKEN, LABELS), "NaN or infinite values in 1 of 105 rows, row 3 the first"),
        ((ROWS, LABELS, BROKEN), "unlabelled must be finite"),
        ((ROWS * 1e300, LABELS), "float32.*105 of 105 rows"),
        ((ROWS, LABELS, ROWS[:, :3]), "unlabelled of \\(105, 3\\)"),
        ((ROWS[:, 0], LABELS), "shape \\[rows, feature_dim\\]"),
        ((np.zeros((0, 4)), []), "Received: features of shape \\(0, 4\\)"),
    ],
)
def test_refuses_data_before_training(monkeypatch, arguments, message):
    monkeypatch.setattr("keras_transgen.fusion.class_balance.trained_vae", None)
    with pytest.raises(ValueError, match=message):
        balance_classes(*arguments)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", 0),
        ("count", 2.5),
        ("latent_dim", True),
        ("epochs", -1),
        ("batch_size", 0),
        ("unlabelled_weight", -0.1),
        ("unlabelled_weight", None),
        ("seed", 0.5),
    ],
)
def test_refuses_numbers_before_training(monkeypatch, name, value):
    monkeypatch.setattr("keras_transgen.fusion.class_balance.trained_vae", None)
    with pytest.raises(ValueError, match=f"Received: {name}={value}"):
        balance_classes(ROWS, LABELS, ROWS, **{name: value})


def test_a_weight_of_nothing_is_refused(monkeypatch):
    monkeypatch.setattr("keras_transgen.fusion.class_balance.trained_vae", None)
    with pytest.raises(ValueError, match=r"unlabelled_weight=0.5 without"):
        balance_classes(ROWS, LABELS, unlabelled_weight=0.5)


@pytest.mark.long
def test_any_whole_number_is_a_seed():
    made = [
        balance_classes(ROWS, LABELS, epochs=1, verbose=0, seed=seed)[0][len(ROWS) :]
        for seed in (3, -3, 10**30, 10**30)
    ]
    np.testing.assert_array_equal(made[2], made[3])
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not np.allclose(made[one], made[other])
