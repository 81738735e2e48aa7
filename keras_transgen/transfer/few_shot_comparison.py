"""How well models do with a few labelled examples of each class, over several draws."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_transgen.datasets import sample_per_class
from keras_transgen.transfer.transfer_model import TransferModel

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table


@dataclasses.dataclass(frozen=True)
class FewShotRow:
    """One method with one number of examples.

    Attributes:
        method: Name of the method.
        shots: Labelled examples of each class.
        accuracies: Accuracy on the test data of each seed.
        trainable_parameters: Parameters that the method trains.
        seconds: Mean time of training.
    """

    method: str
    shots: int
    accuracies: tuple[float, ...]
    trainable_parameters: int
    seconds: float

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


@dataclasses.dataclass(frozen=True)
class FewShotEvaluation:
    """The rows of an evaluation, as a table and as a figure.

    Attributes:
        rows: One row for each method and number of examples.
        num_classes: Number of classes.
    """

    rows: tuple[FewShotRow, ...]
    num_classes: int

    def table(self) -> Table:
        """The rows as a Rich table."""
        from rich.table import Table

        seeds = len(self.rows[0].accuracies)
        table = Table(title=f"Accuracy with few examples, {seeds} draws, 95 % interval of the mean")
        for name in ("method", "examples a class", "accuracy", "trainable", "seconds"):
            table.add_column(name, justify="left" if name == "method" else "right")
        for row in self.rows:
            spread = "" if np.isnan(row.half_interval) else f" ± {row.half_interval:.3f}"
            table.add_row(
                row.method,
                str(row.shots),
                f"{row.mean:.3f}{spread}",
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
    y: Any,
    *,
    test: tuple[Any, Any] | None = None,
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

    Args:
        models: Makes a new model, for each method's name.
        x: Examples to draw from, an array or a structure of arrays.
        y: Their classes, integers `[count]`.
        test: `(x, y)` to measure on. Defaults to the examples that no draw of the seed takes.
        shots: Examples of each class to train on. Defaults to 1, 5 and 10.
        seeds: How many draws. Defaults to 3.
        epochs: Epochs of training, for all methods or by name. Feature transfer needs none.
        batch_size: Examples a batch. Defaults to 16.
        fit_arguments: Further arguments of `fit`.
        progress: Print a line for each run. Defaults to True.

    Returns:
        The rows, a table and a figure.

    Raises:
        ValueError: A class has too few examples, or nothing is left to test on.

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
    labels = np.asarray(y).reshape(-1)
    accuracies: dict[tuple[str, int], list[float]] = {}
    seconds: dict[tuple[str, int], list[float]] = {}
    trainable: dict[str, int] = {}
    for seed in range(seeds):
        largest = sample_per_class(labels, shots[-1], seed)
        test_x, test_y = test if test is not None else _rows_without(x, labels, largest)
        for count in shots:
            drawn = sample_per_class(labels, count, seed)
            for name, make in models.items():
                keras.utils.set_random_seed(seed)
                model = make()
                # All methods are given the same epochs; one that solves for its head needs none.
                model.passes_over_epochs = True
                started = time.monotonic()
                model.fit(
                    _rows(x, drawn),
                    labels[drawn],
                    epochs=epochs if isinstance(epochs, int) else epochs.get(name, 20),
                    batch_size=batch_size,
                    verbose=0,
                    **(fit_arguments or {}),
                )
                seconds.setdefault((name, count), []).append(time.monotonic() - started)
                accuracy = float(np.mean(model.classify(test_x, verbose=0) == np.asarray(test_y)))
                accuracies.setdefault((name, count), []).append(accuracy)
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
        )
        for name in models
        for count in shots
    )
    return FewShotEvaluation(rows, len(np.unique(labels)))


def _rows(x: Any, rows: np.ndarray) -> Any:
    return keras.tree.map_structure(lambda leaf: np.asarray(leaf)[rows], x)


def _rows_without(x: Any, labels: np.ndarray, drawn: np.ndarray) -> tuple[Any, np.ndarray]:
    left = np.setdiff1d(np.arange(len(labels)), drawn)
    if not len(left):
        raise ValueError(
            "Nothing is left to test on: lower shots, or give test=(x, y). "
            f"Received: {len(labels)} examples, of which {len(drawn)} are trained on"
        )
    return _rows(x, left), labels[left]
