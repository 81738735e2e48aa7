"""A label for every position of a sequence; those that are -1 are not counted."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_transgen.backbones.padding_mask import mask_of
from keras_transgen.training.batch_assertions import stop_unless
from keras_transgen.training.gradients import num_replicas
from keras_transgen.transfer.smoothed_cross_entropy import SmoothedCrossEntropy

NOT_COUNTED = -1


def counted_weights(labels: Any, mask: Any = None, sample_weight: Any = None) -> Any:
    """What each position weighs: nothing where it has no label or is padding.

    Args:
        labels: Integers of any shape `[batch, ...]`; -1 is not counted.
        mask: Which positions are no padding, bool of that shape. Defaults to all.
        sample_weight: Of examples `[batch]` or of positions. Defaults to one each.

    Returns:
        float32, of the shape of the labels.
    """
    weights = keras.ops.cast(keras.ops.greater_equal(labels, 0), "float32")
    if mask is not None and len(mask.shape) == len(labels.shape):
        weights *= keras.ops.cast(mask, "float32")
    if sample_weight is not None:
        own = keras.ops.cast(sample_weight, "float32")
        missing = len(labels.shape) - len(own.shape)
        own = keras.ops.reshape(own, (*keras.ops.shape(own), *[1] * missing))
        weights *= own
    return weights


@keras.saving.register_keras_serializable(package="keras_transgen")
class SequenceLabellingLoss(SmoothedCrossEntropy):
    """Cross-entropy of logits, the mean over the positions that count.

    Args:
        label_smoothing: Share of the label that is spread over all classes, in [0, 1).
            Defaults to 0.
        **kwargs: `name`, `reduction` and `dtype`, as in `keras.losses.Loss`.

    Example:
        ```python
        import numpy as np
        from keras_transgen.transfer.sequence_labels import SequenceLabellingLoss

        labels = np.array([[0, 3, -1], [2, -1, -1]])
        loss = SequenceLabellingLoss()(labels, np.zeros((2, 3, 4), "float32"))
        assert np.isclose(loss, np.log(4))
        ```
    """

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The mean over what counts, in nats; as Keras' losses, divided by the replicas."""
        mask = mask_of(y_pred)
        y_true, y_pred = map(keras.ops.convert_to_tensor, (y_true, y_pred))
        weights = counted_weights(y_true, mask, sample_weight)
        losses = keras.ops.cast(self.call(y_true, y_pred), "float32")
        total = keras.ops.sum(weights)
        mean = keras.ops.sum(losses * weights) / keras.ops.maximum(total, keras.config.epsilon())
        return mean / num_replicas()

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Cross-entropy of each position, in nats; of class 0 where there is no label."""
        _check_lengths(y_true, y_pred)
        known = keras.ops.maximum(keras.ops.cast(y_true, "int32"), 0)
        rows = keras.ops.one_hot(known, y_pred.shape[-1], dtype=y_pred.dtype)
        return self.of_rows(rows, y_pred)


def _check_lengths(labels: Any, logits: Any) -> None:
    one, other = tuple(labels.shape), tuple(logits.shape[:-1])
    if len(one) != len(other) or any(
        None not in pair and pair[0] != pair[1] for pair in zip(one[1:], other[1:])
    ):
        raise ValueError(
            "There must be a label for each position that the network gives: cut or pad the labels "
            f"with -1 as the network does the sequences. Received: labels of shape {list(one)}, "
            f"logits of shape {list(logits.shape)}"
        )


@keras.saving.register_keras_serializable(package="keras_transgen")
class CountedAccuracy(keras.metrics.Mean):
    """Share of the positions that count whose label has the largest logit.

    Args:
        name: Name in the logs. Defaults to `"accuracy"`.
        **kwargs: As in `keras.metrics.Mean`.

    Example:
        ```python
        import numpy as np
        from keras_transgen.transfer.sequence_labels import CountedAccuracy

        accuracy = CountedAccuracy()
        accuracy.update_state(np.array([[0, 1, -1]]), np.eye(2)[[[0, 0, 1]]])
        assert accuracy.result() == 0.5
        ```
    """

    def __init__(self, name: str = "accuracy", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Count a batch.

        Args:
            y_true: Labels of any shape; -1 is not counted.
            y_pred: Logits, with the classes behind that shape.
            sample_weight: Of examples or of positions.
        """
        mask = mask_of(y_pred)
        y_true, y_pred = map(keras.ops.convert_to_tensor, (y_true, y_pred))
        _check_lengths(y_true, y_pred)
        right = keras.ops.equal(keras.ops.argmax(y_pred, axis=-1), keras.ops.cast(y_true, "int32"))
        weights = counted_weights(y_true, mask, sample_weight)
        total = keras.ops.sum(weights)
        share = keras.ops.sum(keras.ops.cast(right, "float32") * weights)
        share /= keras.ops.maximum(total, keras.config.epsilon())
        return super().update_state(share, sample_weight=total)


def check_sequence_labels(labels: Any, num_classes: int, whole: bool = True) -> None:
    """Refuse labels that are no classes, or -1, for the positions of sequences.

    Args:
        labels: Integers `[count, length]`.
        num_classes: Number of classes.
        whole: Whether these are all the labels, so that a class may be missed among them.

    Raises:
        ValueError: Wrong dtype, shape or values, nothing that counts, or one class only.
    """
    if labels is None:
        raise ValueError("Training needs y: a label for each position. Received: y=None")
    values = np.asarray(labels)
    if values.dtype.kind not in "iu" or values.ndim != 2:
        raise ValueError(
            "Labels of sequences must be integers of shape [count, length], -1 where a position "
            f"does not count. Received: y of dtype {values.dtype} and shape {list(values.shape)}"
        )
    if not values.size or values.max() < 0:
        raise ValueError(
            "At least one position must have a label, a number from 0 on. "
            f"Received: y of shape {list(values.shape)}"
            + (f" with values from {values.min()} to {values.max()}" if values.size else "")
        )
    low, high = int(values.min()), int(values.max())
    if low < NOT_COUNTED or high >= num_classes:
        raise ValueError(
            f"Labels must be integers from 0 to {num_classes - 1}, or -1 where a position does not "
            f"count. Received: y with values from {low} to {high} for num_classes={num_classes}"
        )
    if whole and len(np.unique(values[values >= 0])) < 2:
        raise ValueError(
            "There must be positions of at least two classes to tell apart. "
            f"Received: y with {int((values >= 0).sum())} labels, all of class {high}"
        )


def stops_at_sequence_labels(labels: Any, num_classes: int) -> list[tf.Operation]:
    """Let a step fail whose labels are neither classes nor -1; see `stop_unless`.

    Args:
        labels: Labels of a batch.
        num_classes: Number of classes.
    """
    return stop_unless(
        tf.reduce_all((labels >= NOT_COUNTED) & (labels < num_classes)),
        f"Labels must be integers from 0 to {num_classes - 1}, or -1 where a position does not "
        "count, in every batch. Received: a batch with labels from {} to {}",
        tf.reduce_min(labels),
        tf.reduce_max(labels),
    )


def weighed_positions(data: Any, by_class: np.ndarray) -> tuple:
    """A batch whose positions weigh what their classes do, times what their examples weigh.

    Args:
        data: Batch of a step: inputs, labels `[batch, length]` and perhaps weights.
        by_class: `[num_classes]`.
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    table = tf.constant(by_class, "float32")
    weights = tf.gather(table, tf.clip_by_value(tf.cast(y, tf.int32), 0, len(by_class) - 1))
    return x, y, weights * counted_weights(y, None, sample_weight)


def positions_as_rows(
    features: np.ndarray, labels: np.ndarray, sample_weight: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Features, labels and weights of the positions that count, one row each.

    Args:
        features: `[count, length, size]`.
        labels: Integers `[count, length]`.
        sample_weight: Of examples `[count]` or of positions, or `None`.
    """
    if features.shape[:2] != labels.shape:
        _check_lengths(labels, features)
    counts = labels >= 0
    weights = None
    if sample_weight is not None:
        own = np.asarray(sample_weight, "float64")
        own = own.reshape(len(own), -1)
        weights = np.broadcast_to(own, labels.shape)[counts]
    return np.asarray(features)[counts], labels[counts], weights
