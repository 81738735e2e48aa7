import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from keras_transgen.datasets import load_digits_split
from keras_transgen.evaluation import (
    classification_accuracy_score,
    conditional_accuracy,
    judged_accuracy,
)


@pytest.fixture(scope="module")
def digits():
    return load_digits_split()


def test_the_default_is_scikit_learns_logistic_regression(digits):
    (train, train_labels), (test, test_labels) = digits
    reference = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    reference.fit(train.reshape(len(train), -1), train_labels)
    expected = reference.score(test.reshape(len(test), -1), test_labels)
    assert classification_accuracy_score(train, train_labels, test, test_labels) == expected
    assert conditional_accuracy(train, train_labels, test, test_labels) == expected
    assert expected > 0.95


def test_a_collapsed_generator_agrees_with_its_conditions_but_teaches_little(digits):
    (train, train_labels), (test, test_labels) = digits
    first = np.array([np.flatnonzero(train_labels == digit)[3] for digit in range(10)])
    conditions = np.repeat(np.arange(10), 20)
    collapsed = train[first][conditions]
    judge = KNeighborsClassifier(1)
    assert conditional_accuracy(train, train_labels, collapsed, conditions, classifier=judge) == 1.0
    taught = classification_accuracy_score(
        collapsed, conditions, test, test_labels, classifier=judge
    )
    assert taught < 0.8
    assert not hasattr(judge, "classes_"), "the classifier handed in must stay as it was"


def test_ignored_conditions_score_at_chance(digits):
    (train, train_labels), (test, _) = digits
    conditions = np.arange(len(test)) % 10
    score = conditional_accuracy(train, train_labels, test, conditions)
    # Binomial(359, 1/10): standard deviation 0.016; four of them.
    assert abs(score - 0.1) < 0.064


def test_the_share_of_right_samples_is_the_score(digits):
    (train, train_labels), _ = digits
    judge = KNeighborsClassifier(1).fit(train.reshape(len(train), -1), train_labels)
    asked = train_labels[:100].copy()
    asked[:25] = (asked[:25] + 1) % 10
    assert judged_accuracy(judge, train[:100], asked) == 0.75


def test_a_keras_model_judges_images_as_they_are(digits):
    (train, train_labels), (test, test_labels) = digits
    model = keras.Sequential(
        [keras.layers.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(0.02),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    score = classification_accuracy_score(
        train, train_labels, test, test_labels, classifier=model, fit_arguments={"epochs": 5}
    )
    kernel, bias = model.get_weights()
    by_hand = (test.reshape(len(test), -1) @ kernel + bias).argmax(axis=1)
    assert score == np.mean(by_hand == test_labels)
    assert score > 0.85
    assert judged_accuracy(model, test, test_labels) == score


def test_wrong_input_is_refused(digits):
    (train, train_labels), (test, test_labels) = digits
    few, few_labels = train[:20], train_labels[:20]
    with pytest.raises(ValueError, match=r"conditions\.shape=\(19,\).*20 rows"):
        classification_accuracy_score(few, few_labels[:19], test, test_labels)
    with pytest.raises(ValueError, match=r"conditions as integers.*float"):
        conditional_accuracy(few, few_labels, test, test_labels.astype("float32"))
    with pytest.raises(ValueError, match=r"argmax of one-hot"):
        conditional_accuracy(few, np.eye(10)[few_labels], test, test_labels)
    with pytest.raises(ValueError, match="only class 3"):
        conditional_accuracy(few, np.full(20, 3), test, test_labels)
    with pytest.raises(ValueError, match=r"generated\.shape=\(20,\)"):
        classification_accuracy_score(np.zeros(20), few_labels, test, test_labels)
    broken = few.copy()
    broken[6, 0, 0] = np.nan
    with pytest.raises(ValueError, match=r"in generated.*row 6"):
        classification_accuracy_score(broken, few_labels, test, test_labels)
    binary = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match=r"one score per class.*\(20, 1\)"):
        judged_accuracy(binary, few, few_labels)
