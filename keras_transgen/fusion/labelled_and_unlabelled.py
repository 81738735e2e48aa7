"""Labels that only some examples have: which they are, and what is refused."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from keras_transgen.fusion.paired_batches import NO_LABEL
from keras_transgen.generative.condition_values import check_class_labels

_SHOWN = 5


def check_labels_where_known(y: Any, num_classes: int) -> None:
    """Refuse labels that are neither classes nor -1; see `check_class_labels`.

    Args:
        y: What the user handed in.
        num_classes: Number of classes.

    Raises:
        ValueError: If there are none, or type, shape or values are wrong.
    """
    name = f"labels (the second argument of fit; {NO_LABEL} where there is none)"
    values = None if y is None else np.asarray(y)
    if values is not None and values.dtype.kind == "i":
        values = np.where(values == NO_LABEL, 0, values)
    check_class_labels(values, num_classes, name)


def labelled_and_all(
    x: Any, y: Any, unlabelled: Any, num_classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All examples, those that have labels, and their labels.

    Args:
        x: Examples `[count, ...]`.
        y: Integers `[count]`, -1 where there is no label.
        unlabelled: Further examples, or `None`.
        num_classes: Number of classes; of one without a label a warning tells.

    Raises:
        ValueError: If there is no label, or examples are of two types.
    """
    every, labels = np.asarray(x), np.asarray(y).reshape(-1)
    has_label = labels != NO_LABEL
    if not has_label.any():
        raise ValueError(
            f"At least one example needs a label. Received: {len(labels)} labels, all {NO_LABEL}"
        )
    missing = np.setdiff1d(np.arange(num_classes), labels)
    if len(missing):
        shown = ", ".join(map(str, missing[:_SHOWN])) + (", ..." if len(missing) > _SHOWN else "")
        warnings.warn(
            f"{len(missing)} of {num_classes} classes have no labelled example, and will not be "
            f"predicted: {shown}",
            stacklevel=3,
        )
    some, labels = every[has_label], labels[has_label]
    if unlabelled is not None:
        more = np.asarray(unlabelled)
        if (more.dtype == np.uint8) != (every.dtype == np.uint8):
            raise ValueError(
                "Examples with labels and without must be of one type, since uint8 is scaled and "
                f"others are not. Received: x of {every.dtype}, unlabelled of {more.dtype}"
            )
        every = np.concatenate([every, more])
        some = some.astype(every.dtype)
    return every, some, labels
