"""Conditional samples judged by classifiers: do they show what was asked for?"""

from __future__ import annotations

from typing import Any

import numpy as np


def classification_accuracy_score(
    generated: Any,
    conditions: Any,
    real: Any,
    real_labels: Any,
    *,
    classifier: Any = None,
    fit_arguments: dict[str, Any] | None = None,
) -> float:
    """Accuracy on real data of a classifier that was trained on samples only.

    It is high only if the samples of each class look like the class and show all of its variety:
    a generator that repeats one perfect image per class scores low.

    Args:
        generated: Samples to train on, `[count, ...]`: images, or features `[count, features]`.
        conditions: The classes that were asked for, integers `[count]`.
        real: Real examples to judge on, `[other count, ...]`, in the same value range.
        real_labels: Their classes, integers `[other count]`.
        classifier: A scikit-learn classifier (a copy is fitted, on flattened examples) or a
            compiled `keras.Model` (fitted itself, on examples as they are; it predicts one score
            per class). Defaults to logistic regression on standardised values.
        fit_arguments: More arguments of the classifier's `fit`, such as `{"epochs": 5}`.

    Returns:
        The accuracy, 0 to 1.

    Raises:
        ValueError: If counts, ranks or shapes do not fit, a value is not finite, a label is no
            integer, or there is one class only.

    Example:
        ```python
        from keras_transgen.datasets import load_digits
        from keras_transgen.evaluation import classification_accuracy_score

        images, labels = load_digits()
        perfect = classification_accuracy_score(
            images[:900], labels[:900], images[900:], labels[900:]
        )
        assert perfect > 0.85
        ```

    Reference:
        Ravuri and Vinyals, "Classification Accuracy Score for Conditional Generative Models",
        2019; Shmelkov et al., "How good is my GAN?", 2018, call it GAN-train.
    """
    fitted = _fitted(classifier, generated, conditions, ("generated", "conditions"), fit_arguments)
    return judged_accuracy(fitted, real, real_labels, names=("real", "real_labels"))


def conditional_accuracy(
    real: Any,
    real_labels: Any,
    generated: Any,
    conditions: Any,
    *,
    classifier: Any = None,
    fit_arguments: dict[str, Any] | None = None,
) -> float:
    """Share of samples that a classifier trained on real data takes for what was asked for.

    It says how well samples show their class, and nothing about their variety: see
    `classification_accuracy_score`. It cannot be surer than the classifier is on real data.

    Args:
        real: Real examples to train on, `[count, ...]`: images, or features `[count, features]`.
        real_labels: Their classes, integers `[count]`.
        generated: Samples to judge, `[other count, ...]`, in the same value range.
        conditions: The classes that were asked for, integers `[other count]`.
        classifier: As in `classification_accuracy_score`.
        fit_arguments: As in `classification_accuracy_score`.

    Returns:
        The accuracy, 0 to 1.

    Raises:
        ValueError: As `classification_accuracy_score`.

    Example:
        ```python
        from keras_transgen.datasets import load_digits
        from keras_transgen.evaluation import conditional_accuracy

        images, labels = load_digits()
        assert conditional_accuracy(images, labels, images[:50], labels[:50]) == 1.0
        ```

    Reference:
        Shmelkov et al., "How good is my GAN?", 2018 (there GAN-test).
    """
    fitted = _fitted(classifier, real, real_labels, ("real", "real_labels"), fit_arguments)
    return judged_accuracy(fitted, generated, conditions, names=("generated", "conditions"))


def judged_accuracy(
    classifier: Any, examples: Any, labels: Any, *, names: tuple[str, str] = ("examples", "labels")
) -> float:
    """Share of examples that a fitted classifier gives their label.

    Args:
        classifier: A fitted scikit-learn classifier, or a `keras.Model` that predicts one score
            per class.
        examples: `[count, ...]`; flattened for a scikit-learn classifier.
        labels: Integers `[count]`.
        names: What the caller calls both, for the messages.

    Returns:
        The accuracy, 0 to 1.

    Raises:
        ValueError: If counts or ranks do not fit, a value is not finite, a label is no integer, or
            the classifier does not give one class per example.

    Example:
        ```python
        from sklearn.neighbors import KNeighborsClassifier
        from keras_transgen.datasets import load_digits
        from keras_transgen.evaluation import judged_accuracy

        images, labels = load_digits()
        judge = KNeighborsClassifier(1).fit(images.reshape(1797, -1), labels)
        assert judged_accuracy(judge, images, labels) == 1.0
        ```
    """
    inputs, targets = _checked(examples, labels, names)
    if _is_keras(classifier):
        scores = np.asarray(classifier.predict(inputs, verbose=0))
        if scores.ndim != 2 or scores.shape[1] < 2:
            raise ValueError(
                "Expected a classifier with one score per class, [count, classes]. "
                f"Received: predictions of shape {scores.shape}"
            )
        predicted = scores.argmax(axis=1)
    else:
        predicted = np.asarray(classifier.predict(_flat(inputs)))
    if predicted.shape != targets.shape:
        raise ValueError(
            "Expected one class per example from the classifier. "
            f"Received: {predicted.shape} for {len(targets)} examples"
        )
    return float(np.mean(predicted == targets))


def _fitted(
    classifier: Any,
    examples: Any,
    labels: Any,
    names: tuple[str, str],
    fit_arguments: dict[str, Any] | None,
) -> Any:
    inputs, targets = _checked(examples, labels, names)
    if len(np.unique(targets)) < 2:
        raise ValueError(
            f"Expected at least two classes in {names[1]} to train a classifier. "
            f"Received: only class {targets[0]}"
        )
    arguments = fit_arguments or {}
    if _is_keras(classifier):
        classifier.fit(inputs, targets, **{"verbose": 0, **arguments})
        return classifier
    from sklearn.base import clone

    chosen = _logistic_regression() if classifier is None else clone(classifier)
    return chosen.fit(_flat(inputs), targets, **arguments)


def _logistic_regression() -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def _is_keras(classifier: Any) -> bool:
    import keras

    return isinstance(classifier, keras.Model)


def _flat(examples: np.ndarray) -> np.ndarray:
    return examples.reshape(len(examples), -1)


def _checked(examples: Any, labels: Any, names: tuple[str, str]) -> tuple[np.ndarray, np.ndarray]:
    inputs, targets = np.asarray(examples), np.asarray(labels)
    if inputs.ndim < 2 or not len(inputs):
        raise ValueError(
            f"Expected {names[0]} of shape [count, ...], at least one. "
            f"Received: {names[0]}.shape={inputs.shape}"
        )
    if targets.shape != (len(inputs),) or targets.dtype.kind not in "iu":
        raise ValueError(
            f"Expected {names[1]} as integers, one per row of {names[0]}; take the argmax of "
            f"one-hot labels. Received: {names[1]}.shape={targets.shape} of {targets.dtype} for "
            f"{len(inputs)} rows"
        )
    finite = np.isfinite(_flat(inputs)).all(axis=1)
    if not finite.all():
        raise ValueError(
            f"Expected finite values in {names[0]}. Received: NaN or infinity in row "
            f"{np.flatnonzero(~finite)[0]}"
        )
    return inputs, targets
