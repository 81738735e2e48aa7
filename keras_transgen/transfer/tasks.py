"""What a transfer model may be asked to predict: the loss, metrics and checks of each task."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_transgen.training.batch_assertions import stop_at_wrong_labels, stop_at_wrong_values
from keras_transgen.training.registry import Registry
from keras_transgen.transfer.sequence_labels import (
    CountedAccuracy,
    SequenceLabellingLoss,
    check_sequence_labels,
    stops_at_sequence_labels,
)
from keras_transgen.transfer.smoothed_cross_entropy import SmoothedCrossEntropy
from keras_transgen.transfer.training_data import (
    check_class_labels,
    check_multi_labels,
    check_targets,
)


@keras.saving.register_keras_serializable(package="keras_transgen")
class ClassificationLoss(SmoothedCrossEntropy):
    """Cross-entropy of logits, for integer labels and for rows of class probabilities.

    Args:
        label_smoothing: Share of the label that is spread over all classes, in [0, 1).
            Defaults to 0.
        **kwargs: `name`, `reduction` and `dtype`, as in `keras.losses.Loss`.

    Example:
        ```python
        import numpy as np
        from keras_transgen.transfer.tasks import ClassificationLoss

        loss = ClassificationLoss()
        logits = np.zeros((2, 4), "float32")
        assert np.isclose(loss(np.array([0, 3]), logits), np.log(4))
        assert np.isclose(loss(np.eye(4)[[0, 3]], logits), np.log(4))
        ```

    Reference:
        Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2016 (label
        smoothing).
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Cross-entropy of each example, `[batch]`, in nats."""
        classes = y_pred.shape[-1]

        def given() -> Any:
            return keras.ops.cast(keras.ops.reshape(y_true, (-1, classes)), y_pred.dtype)

        def one_hot() -> Any:
            numbers = keras.ops.cast(keras.ops.reshape(y_true, (-1,)), "int32")
            return keras.ops.one_hot(numbers, classes, y_pred.dtype)

        if len(y_true.shape) == 2 and y_true.shape[-1] is None:
            # Rows or numbers: only the batch tells.
            rows = keras.ops.cond(keras.ops.shape(y_true)[1] > 1, given, one_hot)
        else:
            are_rows = len(y_true.shape) == 2 and y_true.shape[-1] == classes and classes > 1
            rows = given() if are_rows else one_hot()
        return self.of_rows(rows, y_pred)


@dataclasses.dataclass(frozen=True)
class Task:
    """A kind of prediction.

    Args:
        name: Name of the task.
        loss: Makes the loss of the head's outputs.
        metrics: Makes the metrics that `fit` logs.
        check: Called with labels, the number of outputs, and whether these are all labels.
        stops: What a step waits for, given a batch's labels and the number of outputs.
        probabilities: Turns logits into probabilities; `None` where there are none.
        of_positions: Whether a prediction is one for each position of a sequence.
    """

    name: str
    loss: Callable[[], keras.losses.Loss]
    metrics: Callable[[], list[Any]]
    check: Callable[[Any, int, bool], None]
    stops: Callable[[Any, int], list[tf.Operation]]
    probabilities: Callable[[Any], Any] | None
    of_positions: bool = False


def _stops_at_classes(labels: Any, num_classes: int) -> list[tf.Operation]:
    rank = labels.shape.rank
    if rank is None or (rank == 2 and labels.shape[-1] is None):
        # Rows or numbers, which only the batch tells.
        return stop_at_wrong_values(tf.cast(labels, tf.float32), (0, num_classes - 1), "labels")
    if rank == 2 and labels.shape[-1] != 1:
        return _stops_at_rows(labels, num_classes)
    return stop_at_wrong_labels(labels, num_classes)


def _stops_at_rows(labels: Any, num_classes: int) -> list[tf.Operation]:
    return stop_at_wrong_values(labels, (0.0, 1.0), "labels")


def _stops_at_targets(targets: Any, num_targets: int) -> list[tf.Operation]:
    return stop_at_wrong_values(targets, None, "targets")


TASKS = Registry("task")
TASKS |= {
    task.name: task
    for task in (
        Task(
            "classification",
            ClassificationLoss,
            # Keras picks the accuracy for integers or for rows by the shape of the labels.
            lambda: ["accuracy"],
            check_class_labels,
            _stops_at_classes,
            lambda logits: keras.ops.softmax(logits, axis=-1),
        ),
        Task(
            "multi_label",
            lambda: keras.losses.BinaryCrossentropy(from_logits=True),
            lambda: [keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0)],
            check_multi_labels,
            _stops_at_rows,
            keras.ops.sigmoid,
        ),
        Task(
            "sequence_labelling",
            SequenceLabellingLoss,
            lambda: [CountedAccuracy()],
            check_sequence_labels,
            stops_at_sequence_labels,
            lambda logits: keras.ops.softmax(logits, axis=-1),
            of_positions=True,
        ),
        Task(
            "regression",
            keras.losses.MeanSquaredError,
            lambda: [keras.metrics.MeanAbsoluteError(name="mean_absolute_error")],
            check_targets,
            _stops_at_targets,
            None,
        ),
    )
}
