"""Weights of examples and of classes: one check, and one meaning, for every model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.training.batch_assertions import stop_unless


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
                "The keys of class_weight must be the numbers of classes, as in the labels, or "
                "names where the model knows them. "
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
                f"{weight if is_number else type(weight).__name__} for class {int(each)}"
            )
        weights[int(each)] = weight
    if count and (weights.min() < 0 or weights.max() == 0):
        raise ValueError(
            "Weights must not be negative, and one at least must be positive. "
            f"Received: class_weight with weights in [{weights.min():g}, {weights.max():g}]"
        )
    return weights


def weighed_by_class(data: Any, by_class: np.ndarray) -> tuple:
    """A batch whose examples weigh what their classes do, times what they weigh themselves.

    Args:
        data: Batch of a step: inputs, labels (numbers of classes, or rows of their probabilities)
            and perhaps weights of the examples.
        by_class: `[num_classes]`. Further classes weigh one.

    Raises:
        ValueError: There are no labels, or several parts of them.
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    labels = keras.tree.flatten(y)
    if y is None or len(labels) != 1 or (labels[0].shape.rank or 1) > 2:
        raise ValueError(
            "Classes weigh by the labels: class_weight needs data with one label an example. "
            f"Received: class_weight of {len(by_class)} classes, labels of shapes "
            f"{[each.shape.as_list() for each in labels if each is not None]}"
        )
    y = labels[0]
    if not (y.dtype.is_integer or y.dtype.is_floating or y.dtype.is_bool):
        raise ValueError(
            "Classes weigh by their numbers. Give names numbers first: names, y = "
            f"np.unique(labels, return_inverse=True). Received: labels of dtype {y.dtype.name}"
        )
    rows = tf.reshape(y, [tf.shape(y)[0], -1])
    # A data set may not say which of the two they are before it is read.
    numbers = tf.where(tf.shape(rows)[1] > 1, tf.argmax(rows, -1), tf.cast(rows[:, 0], tf.int64))
    table = tf.constant(np.append(by_class, 1.0), "float32")
    known = (numbers >= 0) & (numbers < len(by_class))
    weights = tf.gather(table, tf.where(known, numbers, len(by_class)))
    if sample_weight is not None:
        own = tf.reshape(tf.cast(keras.tree.flatten(sample_weight)[0], tf.float32), [-1])
        weights *= own
    return x, y, weights


def stop_at_wrong_weights(data: Any) -> list[tf.Operation]:
    """Let a step fail whose examples' weights are negative or not finite; see `stop_unless`."""
    _, _, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    found = []
    for leaf in keras.tree.flatten(sample_weight):
        if leaf is not None and (leaf.dtype.is_floating or leaf.dtype.is_integer):
            weights = tf.cast(leaf, tf.float32)
            found += stop_unless(
                tf.reduce_all(tf.math.is_finite(weights) & (weights >= 0.0)),
                "Sample weights must be finite and not negative, in every batch. Received: a batch "
                "with sample_weight from {} to {}",
                tf.reduce_min(weights),
                tf.reduce_max(weights),
            )
    return found
