"""Metrics of probabilities for models whose outputs are logits."""

from __future__ import annotations

from typing import Any

import keras

from keras_transgen.transfer.logits_check import from_logits, function_name
from keras_transgen.transfer.sequence_labels import CountedAccuracy

_OF_ONE_CLASS = (
    *(keras.metrics.FalsePositives, keras.metrics.FalseNegatives),
    *(keras.metrics.TruePositives, keras.metrics.TrueNegatives),
    *(keras.metrics.Precision, keras.metrics.Recall, keras.metrics.AUC),
    *(keras.metrics.SensitivityAtSpecificity, keras.metrics.SpecificityAtSensitivity),
    *(keras.metrics.PrecisionAtRecall, keras.metrics.RecallAtPrecision),
    keras.metrics.BinaryIoU,
)
_OF_PROBABILITIES = (
    *_OF_ONE_CLASS,
    *(keras.metrics.FBetaScore, keras.metrics.R2Score, keras.metrics.RootMeanSquaredError),
)
# What Keras' functions, and the classes that wrap them, want: predictions, then labels.
_OF_FUNCTIONS = {
    **dict.fromkeys(
        (
            *("binary_crossentropy", "categorical_crossentropy", "kl_divergence", "poisson"),
            *("binary_focal_crossentropy", "categorical_focal_crossentropy", "dice", "tversky"),
            *("categorical_generalized_cross_entropy", "cosine_similarity", "log_cosh", "huber"),
            *("mean_squared_error", "mean_absolute_error", "mean_squared_logarithmic_error"),
            *("mean_absolute_percentage_error", "pearson_correlation", "concordance_correlation"),
        ),
        ("probabilities", "rows"),
    ),
    "binary_accuracy": ("probabilities", "rows"),
    "sparse_categorical_crossentropy": ("probabilities", "integers"),
    **dict.fromkeys(("categorical_accuracy", "top_k_categorical_accuracy"), ("logits", "rows")),
    **dict.fromkeys(("hinge", "squared_hinge", "categorical_hinge"), ("logits", "rows")),
    "sparse_categorical_accuracy": ("logits", "integers"),
    "sparse_top_k_categorical_accuracy": ("logits", "integers"),
    "accuracy": ("classes", "integers"),
}


def of_logits(metrics: Any, task: str) -> Any:
    """Make metrics that `compile` was given ones of labels and logits.

    Keras' metrics get what they are defined for: probabilities, or logits with `from_logits=True`;
    and class labels as integers or as one-hot rows. So AUC, Precision and Recall count each class
    against the rest, as Keras does with one-hot labels; with two classes they are of class 1, as in
    scikit-learn, unless they name a `class_id`. Metrics of the user's own get labels and logits,
    unless they have an attribute `from_logits` that is false.

    Args:
        metrics: Metrics of Keras, their names, functions, or lists or dicts of them.
        task: Name of the task; in a regression all stays as it is.

    Returns:
        The same structure.
    """
    if task == "regression" or metrics is None or isinstance(metrics, CountedAccuracy):
        return metrics
    is_description = isinstance(metrics, dict) and "class_name" in metrics
    if isinstance(metrics, dict) and not is_description:
        return {name: of_logits(each, task) for name, each in metrics.items()}
    if isinstance(metrics, (list, tuple)):
        return [of_logits(each, task) for each in metrics]
    if isinstance(metrics, LogitsMetric):
        return metrics
    if str(metrics).lower() in ("accuracy", "acc"):
        # Keras tells by the shape of the labels, and would compare the largest of several labels.
        if task == "sequence_labelling":
            return CountedAccuracy(metrics)
        several = task == "multi_label"
        return keras.metrics.BinaryAccuracy(metrics, threshold=0.0) if several else metrics
    metric = keras.metrics.get(metrics)
    predictions, labels = _wanted(metric)
    if task == "multi_label":
        labels = "as given"
    if predictions == "logits" and labels == "as given":
        return metrics
    if not isinstance(metric, keras.metrics.Metric):
        name = metrics if isinstance(metrics, str) else function_name(metric)
        metric = keras.metrics.MeanMetricWrapper(metric, name=name)
    return LogitsMetric(metric, predictions, labels, task)


def _wanted(metric: Any) -> tuple[str, str]:
    if isinstance(metric, keras.metrics.IoU) and not isinstance(metric, keras.metrics.BinaryIoU):
        predictions = "classes" if metric.sparse_y_pred else "logits"
        return predictions, "integers" if metric.sparse_y_true else "rows"
    said = from_logits(metric)
    if isinstance(metric, _OF_PROBABILITIES):
        return "logits" if said else "probabilities", "rows"
    name = function_name(metric)
    function = getattr(metric, "_fn", metric)
    known = str(getattr(function, "__module__", "")).startswith("keras.")
    if name in _OF_FUNCTIONS and known:
        predictions, labels = _OF_FUNCTIONS[name]
        given = getattr(metric, "_fn_kwargs", {})
        threshold = given.get("threshold", 0.5) if name == "binary_accuracy" else 0.5
        # No probability lies on both sides of a threshold outside (0, 1): that is one of logits.
        return "logits" if said or not 0.0 < threshold < 1.0 else predictions, labels
    return "probabilities" if said is False else "logits", "as given"


class LogitsMetric(keras.metrics.Metric):
    """A metric of labels and logits, computed by one that wants something else.

    It is never saved: what `compile` was given is.

    Args:
        metric: Keras metric, which keeps the numbers; it may be asked for its result too.
        predictions: What it wants: `"probabilities"`, `"logits"` or `"classes"`; of several labels,
            these are whether each is more probable than not.
        labels: `"rows"` for one-hot rows, `"integers"`, or `"as given"`.
        task: `"classification"` or `"multi_label"`.

    Example:
        ```python
        import keras, numpy as np
        from keras_transgen.transfer.probability_metrics import LogitsMetric

        recall = keras.metrics.Recall(class_id=1)
        metric = LogitsMetric(recall, "probabilities", "rows", "classification")
        metric.update_state(np.array([1, 1]), np.array([[0.0, 2.0], [0.2, 0.1]], "float32"))
        assert float(metric.result()) == 0.5
        ```
    """

    def __init__(
        self, metric: keras.metrics.Metric, predictions: str, labels: str, task: str
    ) -> None:
        super().__init__(name=metric.name, dtype=metric.dtype)
        self.metric = metric
        self.predictions = predictions
        self.labels = labels
        self.task = task
        own = getattr(metric, "class_id", None) is not None or getattr(metric, "multi_label", False)
        self._of_one_class = isinstance(metric, _OF_ONE_CLASS) and not own

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Count a batch.

        Args:
            y_true: Labels as the model takes them.
            y_pred: Logits `[batch, classes]`.
            sample_weight: Weights `[batch]`, or `None`.
        """
        classes = y_pred.shape[-1]
        labels = self._labels(keras.ops.convert_to_tensor(y_true), classes)
        predictions = self._predictions(keras.ops.convert_to_tensor(y_pred))
        if self._of_one_class and self.task == "classification" and classes == 2:
            labels = labels[:, 1:]
            # The logit of class 1 against class 0, where logits are wanted.
            is_logits = self.predictions == "logits"
            predictions = predictions[:, 1:] - (predictions[:, :1] if is_logits else 0.0)
        return self.metric.update_state(labels, predictions, sample_weight=sample_weight)

    def _predictions(self, logits: Any) -> Any:
        if self.predictions == "logits":
            return logits
        if self.predictions == "classes":
            several = self.task == "multi_label"
            return logits > 0.0 if several else keras.ops.argmax(logits, axis=-1)
        logits = keras.ops.cast(logits, "float32")
        is_softmax = self.task == "classification"
        return keras.ops.softmax(logits, axis=-1) if is_softmax else keras.ops.sigmoid(logits)

    def _labels(self, labels: Any, classes: int) -> Any:
        if self.labels == "as given":
            return labels
        is_rows = len(labels.shape) == 2 and labels.shape[-1] == classes and classes > 1
        if self.labels == "rows":
            if is_rows:
                return keras.ops.cast(labels, "float32")
            flat = keras.ops.cast(keras.ops.reshape(labels, (-1,)), "int32")
            return keras.ops.one_hot(flat, classes, dtype="float32")
        return keras.ops.argmax(labels, axis=-1) if is_rows else keras.ops.reshape(labels, (-1,))

    def result(self) -> Any:
        """The metric so far."""
        return self.metric.result()

    def reset_state(self) -> None:
        """Begin anew."""
        self.metric.reset_state()

    def get_config(self) -> dict[str, Any]:
        """The configuration of the metric inside."""
        return self.metric.get_config()
