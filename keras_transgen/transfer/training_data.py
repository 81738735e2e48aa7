"""What `fit` was given: its size, its first rows, and labels looked at before anything trains."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.training.batches import is_arrays
from keras_transgen.training.example_weights import check_sample_weight as check_sample_weight

# Enough rows to notice a wrong scale, few enough to prepare at once.
LOOKED_AT = 64


def is_in_memory(x: Any, y: Any = None) -> bool:
    """Whether data are arrays, so that all of them can be looked at."""
    return is_arrays((x, y))


def rows_of(x: Any) -> int:
    """Number of rows of an array `[rows, ...]`, or of a structure of them with equal rows."""
    return int(keras.tree.flatten(x)[0].shape[0])


def take_rows(x: Any, rows: np.ndarray) -> Any:
    """Chosen rows of arrays `[rows, ...]`, or of a structure of them.

    Args:
        x: Arrays or tensors.
        rows: Numbers of the rows, in the order wanted.
    """
    return keras.tree.map_structure(lambda leaf: np.asarray(leaf)[rows], x)


def some_rows(x: Any, count: int = LOOKED_AT) -> Any:
    """Evenly spaced rows of arrays, or all of a smaller batch."""
    step = max(1, -(-rows_of(x) // count))
    return keras.tree.map_structure(lambda leaf: leaf[::step], x)


def take_steps(x: Any, steps: int | None) -> Any:
    """An endless data set cut to the steps of one epoch; anything else as it is."""
    if steps and isinstance(x, tf.data.Dataset) and int(x.cardinality()) < 0:
        return x.take(steps)
    return x


def counted_steps(x: Any, batch_size: int | None) -> int | None:
    """Steps in an epoch over data; a data set that does not say is read to its end.

    Args:
        x: As in `steps_of`.
        batch_size: As in `steps_of`.
    """
    if isinstance(x, tf.data.Dataset) and int(x.cardinality()) == tf.data.UNKNOWN_CARDINALITY:
        return int(x.reduce(np.int64(0), lambda count, _: count + 1)) or None
    return steps_of(x, batch_size)


def steps_of(x: Any, batch_size: int | None) -> int | None:
    """Steps in an epoch over data, or `None` where only their end would tell.

    Args:
        x: Arrays, `tf.data.Dataset`, `keras.utils.PyDataset` or a generator.
        batch_size: Examples a batch of arrays; 32 if `None`.
    """
    if isinstance(x, tf.data.Dataset):
        steps = int(x.cardinality())
        return steps if steps > 0 else None
    if isinstance(x, keras.utils.PyDataset):
        return x.num_batches
    if hasattr(x, "to_numpy"):
        return math.ceil(len(x) / (batch_size or 32))
    if not is_arrays(x):
        return None
    return math.ceil(rows_of(x) / (batch_size or 32))


def are_rows_of_classes(labels: Any, num_classes: int) -> bool | None:
    """Whether labels are rows of probabilities; `None` where they are no array.

    Args:
        labels: Numbers of classes `[count]`, or rows `[count, num_classes]`.
        num_classes: Number of classes.
    """
    if not is_arrays(labels) or keras.tree.is_nested(labels) or num_classes < 2:
        return None
    return len(labels.shape) == 2 and labels.shape[1] == num_classes


def labels_in_form(labels: Any, as_rows: bool | None, num_classes: int) -> Any:
    """Labels as numbers or as rows, whichever a model's metrics were made for.

    Args:
        labels: Numbers of classes `[count]`, or rows `[count, num_classes]`.
        as_rows: What `are_rows_of_classes` said of the labels that were trained on.
        num_classes: Number of classes.

    Raises:
        ValueError: Probabilities, where numbers are wanted.
    """
    are_rows = are_rows_of_classes(labels, num_classes)
    if None in (as_rows, are_rows) or as_rows == are_rows:
        return labels
    values = np.asarray(labels)
    if as_rows:
        check_class_labels(values, num_classes, False)
        return np.eye(num_classes, dtype="float32")[values.reshape(-1)]
    if not np.isin(values, (0, 1)).all() or not (values.sum(axis=1) == 1).all():
        raise ValueError(
            "Rows of probabilities go with a model that was trained on rows; this one was on "
            f"numbers of classes. Received: labels of shape {list(values.shape)}"
        )
    return values.argmax(axis=1)


def check_class_labels(labels: Any, num_classes: int, whole: bool = True) -> None:
    """Refuse labels that are no classes `0 ... num_classes - 1`.

    Args:
        labels: Integers `[count]` or `[count, 1]`, or one-hot or probability rows
            `[count, num_classes]`.
        num_classes: Number of classes.
        whole: Whether these are all the labels, so that a class may be missed among them.

    Raises:
        ValueError: Wrong dtype, shape or values, or one class only.
    """
    labels = _numbers(labels, "integers, the position of each example's class")
    is_rows = labels.ndim == 2 and labels.shape[1] == num_classes and num_classes > 1
    if is_rows:
        _check_probability_rows(labels)
        classes = labels.argmax(axis=1)
    else:
        if not (labels.ndim == 1 or (labels.ndim == 2 and labels.shape[1] == 1)):
            raise ValueError(
                f"Labels must be integers of shape [count], or rows of shape [count, {num_classes}]"
                f". Received: y of shape {labels.shape} for {num_classes} classes"
            )
        _check_integers(labels, num_classes)
        classes = labels.reshape(-1)
    if whole and len(np.unique(classes)) < 2:
        raise ValueError(
            "There must be examples of at least two classes to tell apart. Was the data set "
            "filtered, or sorted and cut? "
            f"Received: y with {len(classes)} examples, all of class {int(classes[0])}"
        )


def check_multi_labels(labels: Any, num_classes: int, whole: bool = True) -> None:
    """Refuse labels that are not a zero or a one for each example and class.

    Args:
        labels: Zeros and ones, or probabilities, `[count, num_classes]`.
        num_classes: Number of labels an example may have.
        whole: Unused; several labels need not all occur.

    Raises:
        ValueError: Wrong dtype, shape or values.
    """
    labels = _numbers(labels, "zeros and ones")
    if labels.ndim != 2 or labels.shape[1] != num_classes:
        raise ValueError(
            f"Multiple labels must be zeros and ones of shape [count, {num_classes}]. For one "
            "class each, use task='classification'. "
            f"Received: y of shape {labels.shape} for {num_classes} labels"
        )
    if labels.min() < 0 or labels.max() > 1:
        raise ValueError(
            "Multiple labels must be 0 or 1, or probabilities between. "
            f"Received: y with values in [{labels.min():g}, {labels.max():g}]"
        )


def check_targets(targets: Any, num_targets: int, whole: bool = True) -> None:
    """Refuse regression targets that do not fit the head.

    Args:
        targets: Numbers `[count, num_targets]`, or `[count]` for one target.
        num_targets: Numbers predicted for an example.
        whole: Whether these are all the targets, so that a constant shows among them.

    Raises:
        ValueError: Wrong dtype or shape, or not finite.
    """
    targets = _numbers(targets, "numbers")
    fits = targets.ndim == 2 and targets.shape[1] == num_targets
    if not fits and not (targets.ndim == 1 and num_targets == 1):
        raise ValueError(
            f"Targets must have the shape [count, {num_targets}], one number an output. "
            f"Received: y of shape {targets.shape} for {num_targets} outputs"
        )


def _numbers(values: Any, expected: str) -> np.ndarray:
    if values is None:
        raise ValueError(f"Training needs y: {expected}. Received: y=None")
    if isinstance(values, dict):
        raise ValueError(f"y must be one array: {expected}. Received: y with keys {sorted(values)}")
    values = np.asarray(values)
    if values.dtype.kind not in "biuf":
        raise ValueError(
            f"y must hold {expected}. Give names numbers first: "
            "names, y = np.unique(labels, return_inverse=True). "
            f"Received: y of dtype {values.dtype}"
        )
    if values.size == 0:
        raise ValueError(
            f"The data must hold at least one example. Received: y of shape {values.shape}"
        )
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(
            "y must be finite. Look for missing labels. "
            f"Received: {int((~np.isfinite(values)).sum())} NaN or infinite values among "
            f"{values.size}"
        )
    return values


def _check_integers(labels: np.ndarray, num_classes: int) -> None:
    if labels.dtype.kind == "f":
        whole_numbers = bool((labels == np.round(labels)).all())
        advice = (
            "These are whole numbers: y.astype('int64') makes them labels. "
            if whole_numbers
            else "For numbers to be predicted, use task='regression'. "
        )
        raise ValueError(
            f"Class labels must be integers from 0 to {num_classes - 1}. {advice}"
            f"Received: y of dtype {labels.dtype} with values such as "
            f"{[round(float(each), 4) for each in labels.reshape(-1)[:3]]}"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        advice = _numbering_advice(low, high, len(np.unique(labels)), num_classes)
        raise ValueError(
            f"Class labels must be integers from 0 to {num_classes - 1}. {advice}"
            f"Received: y with values from {low} to {high} for num_classes={num_classes}"
        )


def _numbering_advice(low: int, high: int, found: int, num_classes: int) -> str:
    if low < 0:
        return "Number the classes from 0. "
    if low == 1 and high == num_classes:
        return "They seem to start at 1: subtract 1. "
    if found <= num_classes and high >= 2 * num_classes:
        return (
            "Number them anew, numpy.unique(y, return_inverse=True)[1], or give them as names, "
            "which the model keeps: [str(each) for each in y]. "
        )
    return f"Use num_classes={high + 1}, or number the classes anew. "


def _check_probability_rows(rows: np.ndarray) -> None:
    sums = rows.sum(axis=1, dtype="float64")
    if rows.min() < 0 or np.abs(sums - 1).max() > 1e-3:
        raise ValueError(
            "Rows of class probabilities must not be negative and must add up to one. For several "
            "labels an example, use task='multi_label'. "
            f"Received: y of shape {rows.shape} with values in [{rows.min():g}, {rows.max():g}] "
            f"and rows that add up to between {sums.min():g} and {sums.max():g}"
        )
