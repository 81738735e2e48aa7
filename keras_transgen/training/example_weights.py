"""Weights of examples and of classes: one check, and one meaning, for every model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.training.batches import is_arrays


def check_sample_weight(sample_weight: Any) -> None:
    """Refuse weights that are no numbers, negative, not finite, or all zero.

    Args:
        sample_weight: Weights `[count]`, a structure of them, or `None`.

    Raises:
        ValueError: The weights cannot weigh examples.
    """
    for leaf in keras.tree.flatten(sample_weight):
        if leaf is None:
            continue
        weights = np.asarray(leaf)
        if weights.dtype.kind not in "biuf" or weights.size == 0:
            raise ValueError(
                "Sample weights must be numbers, one an example. Received: sample_weight of dtype "
                f"{weights.dtype} and shape {weights.shape}"
            )
        if not np.isfinite(weights).all():
            raise ValueError(
                "Sample weights must be finite. Received: sample_weight with "
                f"{int((~np.isfinite(weights)).sum())} NaN or infinite values among {weights.size}"
            )
        if weights.min() < 0 or weights.max() == 0:
            raise ValueError(
                "Sample weights must not be negative, and one at least must be positive. Received: "
                f"sample_weight with values in [{weights.min():g}, {weights.max():g}]"
            )


def weights_by_class(class_weight: Any, num_classes: int | None) -> np.ndarray:
    """The weight of every class; those that are left out weigh one, as in scikit-learn.

    Args:
        class_weight: Dict from the number of a class to its weight.
        num_classes: Number of classes, or `None` where only the dict tells.

    Returns:
        `[num_classes]`, float64.

    Raises:
        ValueError: It is no such dict, or has a class that does not exist, or a weight that is
            negative, not finite, or none above zero.
    """
    if not isinstance(class_weight, Mapping):
        raise ValueError(
            "class_weight must be a dict from each class's number to its weight. Of a list of "
            "weights dict(enumerate(weights)) is one. "
            f"Received: class_weight of type {type(class_weight).__name__}"
        )
    for each in class_weight:
        if isinstance(each, bool) or not isinstance(each, (int, np.integer)):
            raise ValueError(
                "The keys of class_weight must be the numbers of classes, as in the labels. "
                f"Received: a key of type {type(each).__name__}"
            )
    numbers = [int(each) for each in class_weight]
    count = max(numbers, default=-1) + 1 if num_classes is None else num_classes
    unknown = sorted(each for each in numbers if not 0 <= each < count)
    if unknown:
        raise ValueError(
            "class_weight has classes that do not exist. Leave them out, or number the classes "
            f"from 0. Received: {unknown} of {count} classes"
        )
    weights = np.ones(count)
    for each, weight in class_weight.items():
        is_number = isinstance(weight, (int, float, np.number)) and not isinstance(weight, bool)
        if not is_number or not np.isfinite(weight):
            raise ValueError(
                "The values of class_weight must be finite numbers. Received: class_weight with "
                f"{weight!r:.40} for class {int(each)}"
            )
        weights[int(each)] = weight
    if count and (weights.min() < 0 or weights.max() == 0):
        raise ValueError(
            "Weights must not be negative, and one at least must be positive. "
            f"Received: class_weight with weights in [{weights.min():g}, {weights.max():g}]"
        )
    return weights


def with_class_weight(
    x: Any, y: Any, sample_weight: Any, class_weight: Any, num_classes: int | None
) -> tuple[Any, Any, dict[int, float] | None]:
    """Let classes weigh, together with examples where both have weights: they are multiplied.

    Args:
        x: What `fit` was given.
        y: What `fit` was given.
        sample_weight: What `fit` was given.
        class_weight: What `fit` was given.
        num_classes: Number of classes, or `None` where it is not known.

    Returns:
        `(x, sample_weight, class_weight)` that mean the same to Keras.

    Raises:
        ValueError: As `weights_by_class`.
    """
    by_class = weights_by_class(class_weight, num_classes)
    if y is None and is_arrays(x):
        raise ValueError(
            "Classes weigh by the labels: pass y with class_weight. Received: y=None, class_weight "
            f"of {len(class_weight)} classes"
        )
    if isinstance(y, (np.ndarray, tf.Tensor)) and len(y.shape) <= 2:
        numbers = _numbers(np.asarray(y))
        if num_classes is None and numbers.size:
            by_class = weights_by_class(class_weight, max(len(by_class), int(numbers.max()) + 1))
        weights = by_class[numbers].astype("float32")
        if sample_weight is not None:
            check_sample_weight(sample_weight)
            weights = weights * np.asarray(sample_weight, "float32").reshape(-1)
        return x, weights, None
    complete = {index: float(weight) for index, weight in enumerate(by_class)}
    spec = x.element_spec if isinstance(x, tf.data.Dataset) else None
    if isinstance(spec, tuple) and len(spec) == 3:
        table = tf.constant(by_class, "float32")

        def weighed(x: Any, y: Any, sample_weight: tf.Tensor) -> tuple:
            numbers = tf.argmax(y, -1) if _is_rows(y) else tf.reshape(tf.cast(y, tf.int64), [-1])
            own = tf.reshape(tf.cast(sample_weight, tf.float32), [-1])
            return x, y, own * tf.gather(table, numbers)

        return x.map(weighed, num_parallel_calls=tf.data.AUTOTUNE), sample_weight, None
    return x, sample_weight, complete


def _is_rows(labels: Any) -> bool:
    return len(labels.shape) == 2 and labels.shape[-1] not in (None, 1)


def _numbers(labels: np.ndarray) -> np.ndarray:
    if _is_rows(labels):
        return labels.argmax(axis=-1)
    return labels.reshape(-1).astype("int64")
