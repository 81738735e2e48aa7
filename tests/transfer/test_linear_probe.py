"""The probe's penalty is chosen on examples that were held out."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss

from keras_transgen.transfer.linear_probe import (
    DEFAULT_SHARE,
    MANY_EXAMPLES,
    fit_linear_probe,
    held_out_folds,
)

RNG = np.random.default_rng(2)
DIRECTIONS = RNG.normal(size=(30, 3))


def examples(count, noise=3.0):
    features = RNG.normal(size=(count, 30))
    return features, (features @ DIRECTIONS + noise * RNG.normal(size=(count, 3))).argmax(axis=1)


def test_sweep_finds_the_penalty_that_scikit_learn_would():
    features, classes = examples(90)
    probe = fit_linear_probe(features, np.eye(3)[classes])
    folds = held_out_folds(np.eye(3)[classes], "classification", 1, 0)
    strengths, losses = zip(*probe.tried)
    for strength, loss in probe.tried[::3]:
        expected = []
        for fold in folds:
            model = LogisticRegression(C=1 / (strength * (~fold).sum()), max_iter=5000)
            model.fit(features[~fold], classes[~fold])
            expected.append(log_loss(classes[fold], model.predict_proba(features[fold])))
        assert loss == pytest.approx(np.mean(expected), abs=2e-3)
    assert probe.l2 == strengths[int(np.argmin(losses))]
    # Neither the strongest nor the weakest: the sweep went past the minimum on both sides.
    assert strengths[-1] < probe.l2 < strengths[0]


def test_is_refitted_to_all_examples():
    features, classes = examples(60)
    probe = fit_linear_probe(features, np.eye(3)[classes])
    expected = LogisticRegression(C=1 / (probe.l2 * 60), tol=1e-10, max_iter=20000)
    expected.fit(features, classes)
    np.testing.assert_allclose(
        probe.kernel.T - probe.kernel.T.mean(axis=0),
        expected.coef_ - expected.coef_.mean(axis=0),
        atol=1e-3,
    )


def test_noise_asks_for_a_stronger_penalty():
    clean, clean_classes = examples(120, noise=0.1)
    noisy, noisy_classes = examples(120, noise=20.0)
    weak = fit_linear_probe(clean, np.eye(3)[clean_classes]).l2
    strong = fit_linear_probe(noisy, np.eye(3)[noisy_classes]).l2
    assert strong > 10 * weak


def test_regression_is_ridge_with_a_chosen_penalty():
    features = RNG.normal(size=(80, 30))
    targets = features @ DIRECTIONS[:, :1] + RNG.normal(size=(80, 1))
    probe = fit_linear_probe(features, targets, task="regression")
    expected = Ridge(alpha=probe.l2 * 80).fit(features, targets)
    np.testing.assert_allclose(
        probe.predict(features)[:, 0], expected.predict(features).reshape(-1), atol=1e-6
    )
    assert np.mean((probe.predict(features) - targets) ** 2) < 1.0


def test_several_labels():
    features = RNG.normal(size=(100, 30))
    labels = (features @ DIRECTIONS > 0).astype(float)
    probe = fit_linear_probe(features, labels, task="multi_label")
    assert ((probe.predict(features) > 0) == labels).mean() > 0.95


def test_every_example_is_held_out_once_and_views_together():
    classes = np.repeat([0, 1, 2], [11, 8, 6])
    folds = held_out_folds(np.repeat(np.eye(3)[classes], 2, axis=0), "classification", 2, 0)
    assert folds.shape == (5, 50)
    assert (folds.sum(axis=0) == 1).all()
    np.testing.assert_array_equal(folds[:, ::2], folds[:, 1::2])
    per_class = np.stack([folds[:, ::2][:, classes == each].sum(axis=1) for each in range(3)])
    assert (per_class.max(axis=1) - per_class.min(axis=1) <= 1).all()
    sizes = folds.sum(axis=1)
    assert sizes.max() - sizes.min() <= 2


def test_many_examples_are_held_out_once():
    classes = np.arange(MANY_EXAMPLES + 5) % 2
    folds = held_out_folds(np.eye(2)[classes], "classification", 1, 0)
    assert folds.shape[0] == 1
    assert folds.mean() == pytest.approx(0.2, abs=1e-3)


def test_one_example_a_class_has_nothing_to_hold_out():
    features = np.eye(3) * 2
    probe = fit_linear_probe(features, np.eye(3))
    spread = np.square(features - features.mean(axis=0)).sum(axis=1).mean()
    assert probe.l2 == pytest.approx(DEFAULT_SHARE * spread)
    assert probe.tried == ()
    assert (probe.predict(features).argmax(axis=1) == np.arange(3)).all()


@pytest.mark.parametrize("l2", [0.0, -1.0, "best", float("inf")])
def test_refuses_a_penalty_that_is_none(l2):
    with pytest.raises(ValueError, match="l2 must be a number above zero, or 'sweep'"):
        fit_linear_probe(np.eye(3), np.eye(3), l2=l2)
