"""How well each class is told, by name."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transgen.training.entrance import is_batches
from keras_transgen.transfer.sequence_labels import NOT_COUNTED

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, eq=False)
class ClassReport:
    """Precision, recall and confusions of a classification.

    Attributes:
        class_names: Names of the classes, or their numbers as text.
        confusion: How many examples of each class (rows) were told to be of each (columns), int64
            `[classes, classes]`.
        by_class: For each class its `"precision"`, `"recall"`, `"f1-score"` and `"support"`, the
            number of its examples; what is 0 / 0 is 0.
        accuracy: Share that is told rightly.
        macro_f1: Mean of the classes' F1, however many examples each has.
    """

    class_names: tuple[str, ...]
    confusion: np.ndarray
    by_class: dict[str, dict[str, float]]
    accuracy: float
    macro_f1: float

    def plot(self) -> Figure:
        """The confusions as a Matplotlib figure."""
        from matplotlib.figure import Figure
        from sklearn.metrics import ConfusionMatrixDisplay

        side = 2.5 + 0.4 * len(self.class_names)
        # Of no pyplot, which would show it a second time in a notebook.
        figure = Figure((side, side), layout="tight")
        shown = ConfusionMatrixDisplay(self.confusion, display_labels=self.class_names)
        shown.plot(ax=figure.subplots(), xticks_rotation="vertical", colorbar=False, cmap="Blues")
        return figure

    def __str__(self) -> str:
        """A table, as scikit-learn prints it."""
        width = max(len("class"), *(len(name) for name in self.class_names))
        lines = [f"{'class':>{width}}  precision  recall  f1-score  support"]
        for name, row in self.by_class.items():
            lines.append(
                f"{name:>{width}}  {row['precision']:9.3f}  {row['recall']:6.3f}  "
                f"{row['f1-score']:8.3f}  {int(row['support']):7,}"
            )
        lines.append(f"accuracy {self.accuracy:.3f}, mean F1 of the classes {self.macro_f1:.3f}")
        return "\n".join(lines)


def class_report(model: Any, x: Any, y: Any = None) -> ClassReport:
    """Compare what a model tells with labels, class by class.

    Args:
        model: A transfer model for a classification or for labels of sequences.
        x: Raw input, as `predict` takes it; no data set.
        y: Labels: numbers, names, rows of probabilities, or for sequences one a position.

    Returns:
        Precision, recall, F1 and confusions; `print` and `plot` it.

    Raises:
        ValueError: The model predicts no classes, or the labels are none of them.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.transfer import class_report

        images, labels = ktg.datasets.load_digits()
        model = ktg.FeatureTransfer("digits", 10)
        model.fit(images[:500], labels[:500], verbose=0)
        report = class_report(model, images[500:600], labels[500:600])
        assert report.confusion.sum() == 100
        ```
    """
    from sklearn.metrics import classification_report, confusion_matrix

    if model.task not in ("classification", "sequence_labelling"):
        raise ValueError(
            "Only where each example or position has one class can the classes be reported. "
            f"Received: a model with task={model.task!r}"
        )
    if y is None or is_batches(x):
        raise ValueError(
            "class_report(model, x, y) compares arrays: x, y = map(np.concatenate, zip(*data)) "
            f"reads those of a data set of batches. Received: x of type {type(x).__name__}"
            + (", y=None" if y is None else "")
        )
    x = model.entered("x", x, False)
    labels = np.asarray(model.with_positions(x, model.entered("y", y, False)))
    model.check_labels(labels, False)
    if model.task == "classification":
        labels = labels.argmax(axis=1) if labels.shape[1:] not in ((), (1,)) else labels.reshape(-1)
    told = model.classify(x, verbose=0)
    counts = labels != NOT_COUNTED
    labels, told = labels[counts], told[counts]
    numbers = np.arange(model.num_classes)
    names = model.class_names or tuple(map(str, numbers))
    found = classification_report(
        labels, told, labels=numbers, target_names=names, output_dict=True, zero_division=0
    )
    return ClassReport(
        tuple(names),
        confusion_matrix(labels, told, labels=numbers),
        {name: found[name] for name in names},
        float((labels == told).mean()),
        float(found["macro avg"]["f1-score"]),
    )
