"""fit_with_generated_data: takes what helps on held-out data, leaves what does not."""

import keras
import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from keras_transgen.backbones import KerasBackbone
from keras_transgen.datasets import stratified_split
from keras_transgen.fusion.generated_data import GeneratedData
from keras_transgen.fusion.mixing_weight import fit_with_generated_data
from keras_transgen.transfer import FeatureTransfer

RNG = np.random.default_rng(0)
CENTRES = RNG.normal(size=(3, 6)) * 0.8


def rows(count, rng):
    labels = np.arange(count) % 3
    return (CENTRES[labels] + rng.normal(size=(count, 6))).astype("float32"), labels


class Truth:
    """Samples from the true classes, or with the labels moved on."""

    def __init__(self, shift=0):
        self.shift = shift

    def sample(self, labels, seed):
        labels = (np.asarray(labels) + self.shift) % 3
        noise = np.random.default_rng(seed).normal(size=(len(labels), 6))
        return (CENTRES[labels] + noise).astype("float32")


def linear_model():
    inputs = keras.Input((6,))
    identity = keras.Model(inputs, keras.layers.Identity()(inputs))
    return FeatureTransfer(KerasBackbone(identity, name="features"), 3, l2=0.1)


X, Y = rows(12, RNG)


@pytest.mark.slow
def test_more_of_the_truth_is_taken_and_helps():
    data = GeneratedData(Truth(), agreement=0.0, per_class=60)
    found = fit_with_generated_data(linear_model, data, X, Y, weights=[0.8], folds=2)
    assert found.weight > 0.0
    assert [trial.weight for trial in found.trials] == [0.0, 0.8]
    test_x, test_y = rows(600, np.random.default_rng(1))
    losses = [
        -log_softmax(model.predict(test_x, verbose=0), axis=1)[np.arange(600), test_y].mean()
        for model in (found.model, found.without)
    ]
    assert losses[0] < losses[1]


@pytest.mark.slow
def test_wrong_labels_are_filtered_or_left_out():
    wrong = GeneratedData(Truth(shift=1), agreement=0.0, per_class=60)
    held_out = rows(90, np.random.default_rng(2))
    options = {"weights": [0.8], "validation_data": held_out}
    found = fit_with_generated_data(linear_model, wrong, X, Y, **options)
    assert max(found.acceptance.values(), default=0.0) < 0.6

    class Unfiltered(GeneratedData):
        def _agreement(self, samples, labels, classifier):
            return np.ones(len(labels), bool)

    taken = Unfiltered(Truth(shift=1), per_class=60)
    found = fit_with_generated_data(linear_model, taken, X, Y, **options)
    assert found.weight == 0.0
    assert found.model is found.without
    assert found.trials[0].loss < found.trials[1].loss


def test_losses_without_samples_are_those_of_scikit_learn():
    """Weight zero: plain cross-validation of a logistic regression."""
    found = fit_with_generated_data(
        linear_model, GeneratedData(Truth()), X, Y, weights=[], folds=3, seed=4
    )
    expected, accuracies = [], []
    for rest, held in StratifiedKFold(3, shuffle=True, random_state=4).split(X, Y):
        model = LogisticRegression(C=1 / (0.1 * len(rest)), tol=1e-8, max_iter=1000)
        model.fit(X[rest], Y[rest])
        expected.append(-model.predict_log_proba(X[held])[np.arange(len(held)), Y[held]].mean())
        accuracies.append(model.score(X[held], Y[held]))
    np.testing.assert_allclose(found.trials[0].losses, expected, rtol=1e-3)
    np.testing.assert_allclose(found.trials[0].accuracies, accuracies)
    assert found.weight == 0.0


@pytest.mark.slow
def test_validation_data_of_the_users_own():
    """The best of the models is the result, and nothing is held out of the few."""
    fitted_to = []

    class Counted(FeatureTransfer):
        def fit(self, x, y, **kwargs):
            fitted_to.append(len(x))
            return super().fit(x, y, **kwargs)

    def make():
        model = linear_model()
        return Counted(model.backbone, 3, l2=0.1)

    held_x, held_y = rows(30, np.random.default_rng(3))
    data = GeneratedData(Truth(), agreement=0.0, per_class=60)
    found = fit_with_generated_data(
        make, data, X, Y, weights=[0.5, 0.9], validation_data=(held_x, held_y)
    )
    assert fitted_to[0] == 12
    assert len(fitted_to) == 3
    best = min(found.trials, key=lambda trial: trial.loss)
    assert found.weight == best.weight > 0.0
    logits = found.model.predict(held_x, verbose=0)
    loss = -log_softmax(logits, axis=1)[np.arange(30), held_y].mean()
    assert best.loss == pytest.approx(loss, rel=1e-4)


def test_a_classifier_that_confirms_nothing_leaves_the_real_examples():
    data = GeneratedData(Truth(), agreement=1.0, per_class=2, rounds=1)
    with pytest.warns(UserWarning, match="no sample"):
        found = fit_with_generated_data(
            linear_model, data, X, Y, weights=[0.5], validation_data=(X, Y)
        )
    assert found.weight == 0.0
    assert found.trials[0].losses == found.trials[1].losses


@pytest.mark.slow
def test_one_fold_is_a_hold_out():
    """Of 30 % of each class: one of four examples, whose accuracy is one of 0, 1/3, 2/3 and 1."""
    found = fit_with_generated_data(
        linear_model, GeneratedData(Truth()), X, Y, weights=[], folds=1, seed=2
    )
    rest, held = stratified_split(Y, 0.3, 2)
    model = LogisticRegression(C=1 / (0.1 * len(rest)), tol=1e-8, max_iter=1000)
    model.fit(X[rest], Y[rest])
    expected = -model.predict_log_proba(X[held])[np.arange(len(held)), Y[held]].mean()
    np.testing.assert_allclose(found.trials[0].losses, [expected], rtol=1e-3)


@pytest.mark.parametrize(
    ("y", "options", "message"),
    [
        (np.arange(12), {}, "every class needs two.*Received: 1 example"),
        (Y, {"weights": [1.0]}, r"weights must lie in \[0, 1\)"),
        (Y, {"folds": 0}, "folds=0"),
    ],
)
def test_refuses(y, options, message):
    with pytest.raises(ValueError, match=message):
        fit_with_generated_data(linear_model, GeneratedData(Truth()), X, y, **options)
