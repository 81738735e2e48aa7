"""How well models do with a few labelled examples of each class, over several draws."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_transgen.datasets import sample_per_class
from keras_transgen.transfer.feature_transfer import FeatureTransfer
from keras_transgen.transfer.frozen_features import (
    FrozenFeatures,
    keeps_features,
    starts_from_features,
)
from keras_transgen.transfer.labelled_examples import LabelledExamples
from keras_transgen.transfer.training_data import take_rows
from keras_transgen.transfer.transfer_model import TransferModel

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

# Test data whose largest class has this many times the examples of the smallest are judged by F1
# too.
_UNEQUAL = 1.5


@dataclasses.dataclass(frozen=True)
class FewShotRow:
    """One method with one number of examples.

    Attributes:
        method: Name of the method.
        shots: Labelled examples of each class.
        accuracies: Accuracy on the test data of each seed.
        trainable_parameters: Parameters that the method trains.
        seconds: Mean time of training; features that methods share are not in it.
        f1: F1 score on the test data of each seed, the mean over the classes.
    """

    method: str
    shots: int
    accuracies: tuple[float, ...]
    trainable_parameters: int
    seconds: float
    f1: tuple[float, ...] = ()

    @property
    def mean(self) -> float:
        """Mean accuracy over the seeds."""
        return float(np.mean(self.accuracies))

    @property
    def half_interval(self) -> float:
        """Half the width of Student's 95 % interval of the mean; NaN for one seed."""
        from scipy.stats import t

        count = len(self.accuracies)
        if count < 2:
            return float("nan")
        error = float(np.std(self.accuracies, ddof=1)) / count**0.5
        return float(t.ppf(0.975, count - 1)) * error

    @property
    def mean_f1(self) -> float:
        """Mean macro F1 over the seeds; NaN where it was not measured."""
        return float(np.mean(self.f1)) if self.f1 else float("nan")


@dataclasses.dataclass(frozen=True)
class FewShotEvaluation:
    """The rows of an evaluation, as a table and as a figure.

    Attributes:
        rows: One row for each method and number of examples.
        num_classes: Number of classes.
        unequal: Whether some test data have more than 1.5 times as many examples of one class as
            of another, where accuracy alone says little; the table then shows the macro F1.
    """

    rows: tuple[FewShotRow, ...]
    num_classes: int
    unequal: bool = False

    def table(self) -> Table:
        """The rows as a Rich table."""
        from rich.table import Table

        seeds = len(self.rows[0].accuracies)
        table = Table(title=f"Accuracy with few examples, {seeds} draws, 95 % interval of the mean")
        f1 = ["macro F1"] if self.unequal else []
        for name in ("method", "examples a class", "accuracy", *f1, "trainable", "seconds"):
            table.add_column(name, justify="left" if name == "method" else "right")
        for row in self.rows:
            spread = "" if np.isnan(row.half_interval) else f" ± {row.half_interval:.3f}"
            table.add_row(
                row.method,
                str(row.shots),
                f"{row.mean:.3f}{spread}",
                *([f"{row.mean_f1:.3f}"] if self.unequal else []),
                f"{row.trainable_parameters:,}",
                f"{row.seconds:.1f}",
            )
        return table

    def plot(self) -> Figure:
        """Accuracy against the number of examples, as a Matplotlib figure."""
        from keras_transgen.plotting import plot_few_shot_chart

        accuracies: dict[str, dict[int, Sequence[float]]] = {}
        for row in self.rows:
            accuracies.setdefault(row.method, {})[row.shots] = row.accuracies
        return plot_few_shot_chart(accuracies, chance=1 / self.num_classes)

    def __str__(self) -> str:
        import io

        from rich.console import Console

        text = io.StringIO()
        Console(file=text, width=100).print(self.table())
        return text.getvalue()


def few_shot_evaluation(
    models: Mapping[str, Callable[[], TransferModel]],
    x: Any,
    y: Any = None,
    *,
    test: Any = None,
    shots: Sequence[int] = (1, 5, 10),
    seeds: int = 3,
    epochs: int | Mapping[str, int] = 20,
    batch_size: int = 16,
    fit_arguments: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> FewShotEvaluation:
    """Train every method on the same few examples, several times over, and measure it.

    All methods see the same examples; with the same seed a smaller number of shots is a part of
    the larger. Every run starts from a new model.

    Features are extracted once for all runs whose networks make the same ones: those of
    `FeatureTransfer`, and those that the probe of a fine-tuning method starts from. The test data
    then pass through the head alone, unless the network was tuned. Of data sets, no more than a
    batch and the examples of the largest draw are in memory.

    Args:
        models: Makes a new model, for each method's name.
        x: Examples to draw from: an array or a structure of arrays, or a `tf.data.Dataset` (batched
            or not) or `keras.utils.PyDataset` of `(x, y)` that gives the same order each time.
        y: Their classes, integers `[count]`; left out with a data set.
        test: `(x, y)` to measure on, or a data set. Defaults to the examples that no draw of the
            seed takes.
        shots: Examples of each class to train on. Defaults to 1, 5 and 10.
        seeds: How many draws. Defaults to 3.
        epochs: Epochs of training, for all methods or by name. Feature transfer needs none.
        batch_size: Examples a batch. Defaults to 16.
        fit_arguments: Further arguments of `fit`.
        progress: Print a line for each run. Defaults to True.

    Returns:
        The rows, a table and a figure.

    Raises:
        ValueError: A class has too few examples, nothing is left to test on, or a data set has no
            end, no labels, or another order each time.

    Example:
        ```python
        import keras_transgen as ktg
        from keras_transgen.transfer import FeatureTransfer, few_shot_evaluation

        images, labels = ktg.datasets.load_digits()
        found = few_shot_evaluation(
            {"features": lambda: FeatureTransfer("digits", 10)}, images, labels, shots=[5], seeds=2
        )
        print(found)
        ```

    Reference:
        Chen et al., A Closer Look at Few-shot Classification, 2019.
    """
    if not models:
        raise ValueError("Expected at least one model. Received: models={}")
    shots = sorted(set(shots))
    if not shots or seeds < 1:
        raise ValueError(
            "Expected at least one number of shots and one seed. "
            f"Received: shots={shots}, seeds={seeds}"
        )
    examples = LabelledExamples(x, y, batch_size)
    labels = examples.labels
    largest = [sample_per_class(labels, shots[-1], seed) for seed in range(seeds)]
    drawn_ever = np.unique(np.concatenate(largest))
    features = FrozenFeatures(examples)
    measured: list[Any] = [None] * seeds
    if test is None:
        test_examples, test_features = examples, features
        measured = [_left(len(labels), drawn) for drawn in largest]
    else:
        test_examples = LabelledExamples(*(test if isinstance(test, (tuple, list)) else (test,)))
        test_features = FrozenFeatures(test_examples)
    further = dict(fit_arguments or {})
    accuracies: dict[tuple[str, int], list[float]] = {}
    f1: dict[tuple[str, int], list[float]] = {}
    seconds: dict[tuple[str, int], list[float]] = {}
    trainable: dict[str, int] = {}
    unequal = False
    for seed in range(seeds):
        draw = _Draw(examples, largest[seed])
        for count in shots:
            drawn = sample_per_class(labels, count, seed)
            for name, make in models.items():
                keras.utils.set_random_seed(seed)
                model = make()
                # All methods are given the same epochs; one that solves for its head needs none.
                model.passes_over_epochs = True
                if test is None and keeps_features(model):
                    # In one pass with those to train on.
                    features.extract(model, np.arange(len(labels)), batch_size)
                spent = _fit(
                    model,
                    draw,
                    drawn,
                    drawn_ever,
                    features,
                    epochs=epochs if isinstance(epochs, int) else epochs.get(name, 20),
                    batch_size=batch_size,
                    verbose=0,
                    **further,
                )
                if keeps_features(model):
                    test_features.extract(model, measured[seed], batch_size)
                    found, expected = test_features.classify(model, measured[seed])
                else:
                    found, expected = _classified(model, test_examples, measured[seed])
                unequal = unequal or _is_unequal(expected)
                accuracy = float(np.mean(found == expected))
                accuracies.setdefault((name, count), []).append(accuracy)
                f1.setdefault((name, count), []).append(_macro_f1(expected, found))
                seconds.setdefault((name, count), []).append(spent)
                trainable[name] = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
                if progress:
                    print(f"draw {seed + 1}/{seeds}, {count} a class, {name}: {accuracy:.3f}")
    rows = tuple(
        FewShotRow(
            name,
            count,
            tuple(accuracies[name, count]),
            trainable[name],
            float(np.mean(seconds[name, count])),
            tuple(f1[name, count]),
        )
        for name in models
        for count in shots
    )
    return FewShotEvaluation(rows, len(np.unique(labels)), unequal)


class _Draw:
    """The examples of a seed's largest draw, read when a method first needs them."""

    def __init__(self, examples: LabelledExamples, rows: np.ndarray) -> None:
        self.examples = examples
        self._rows = rows
        self._x: Any = None

    def x(self, rows: np.ndarray) -> Any:
        """Examples of this or a smaller draw, as arrays."""
        if self._x is None:
            self._x = self.examples.gather(self._rows)
        return take_rows(self._x, np.searchsorted(self._rows, rows))


def _fit(
    model: TransferModel,
    draw: _Draw,
    rows: np.ndarray,
    drawn_ever: np.ndarray,
    features: FrozenFeatures,
    **arguments: Any,
) -> float:
    """Train on drawn examples, from shared features where a model allows it; gives the seconds."""
    labels = draw.examples.labels[rows]
    x: Any = None
    # Held-out rows are split off the examples themselves, and views are augmented draw by draw.
    if not arguments.get("validation_split"):
        if type(model) is FeatureTransfer and keeps_features(model) and model.views == 1:
            features.extract(model, drawn_ever, arguments["batch_size"])
            x = features.of(model, rows)
        elif starts_from_features(model):
            features.extract(model, drawn_ever, arguments["batch_size"])
            model.features_at_hand = features.of(model, rows)
    if x is None:
        x = draw.x(rows)
    started = time.monotonic()
    model.fit(x, labels, **arguments)
    return time.monotonic() - started


def _classified(
    model: TransferModel, examples: LabelledExamples, rows: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """What a model takes examples for, and what they are, read together."""
    found, expected = [], []
    for x, labels in examples.batches(rows):
        found.append(model.classify(x, verbose=0))
        expected.append(labels)
    return np.concatenate(found), np.concatenate(expected)


def _macro_f1(expected: np.ndarray, found: np.ndarray) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(expected, found, average="macro"))


def _is_unequal(labels: np.ndarray) -> bool:
    counts = np.unique(labels, return_counts=True)[1]
    return bool(counts.max() > _UNEQUAL * counts.min())


def _left(count: int, drawn: np.ndarray) -> np.ndarray:
    """The rows that were not drawn."""
    left = np.setdiff1d(np.arange(count), drawn)
    if not len(left):
        raise ValueError(
            "Nothing is left to test on: lower shots, or give test=(x, y). "
            f"Received: {count} examples, of which {len(drawn)} are trained on"
        )
    return left
