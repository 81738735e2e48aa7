"""`keras-transgen demo`: three transfers to handwritten digits against training from scratch."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from keras_transgen.datasets.screen import Screen

EPOCHS = 30
BATCH_SIZE = 16


@dataclasses.dataclass(frozen=True)
class DemoMethod:
    """A row of the demo's table.

    Attributes:
        name: Name in the table.
        file: Name of the model's file.
        make: Makes the model for a seed.
        fit: Keyword arguments of `fit`.
    """

    name: str
    file: str
    make: Callable[[int], Any]
    fit: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class DemoResult:
    """What one method reached.

    Attributes:
        name: Name in the table.
        trainable: Number of trainable parameters.
        accuracies: Test accuracy of each seed.
        seconds: Seconds of `fit` of each seed.
    """

    name: str
    trainable: int = 0
    accuracies: list[float] = dataclasses.field(default_factory=list)
    seconds: list[float] = dataclasses.field(default_factory=list)


def _from_scratch(seed: int, steps: int) -> Any:
    import keras

    import keras_transgen as ktg
    from keras_transgen.backbones.digits_network import digits_network

    backbone = ktg.KerasBackbone(digits_network(), trainable=True, normalization="adapt")
    model = ktg.TransferModel(backbone, 10, seed=seed)
    # To zero at the end, as the others do: a constant rate leaves a bad last step in a seed or two.
    rate = keras.optimizers.schedules.CosineDecay(2e-3, steps)
    model.compile(optimizer=keras.optimizers.Adam(rate))
    return model


def methods(examples: int) -> list[DemoMethod]:
    """The three kinds of transfer, and none.

    Args:
        examples: How many labelled examples they get.
    """
    import keras_transgen as ktg

    trained = {"epochs": EPOCHS, "batch_size": BATCH_SIZE}
    return [
        DemoMethod(
            "from scratch",
            "from_scratch",
            lambda seed: _from_scratch(seed, EPOCHS * -(-examples // BATCH_SIZE)),
            trained,
        ),
        DemoMethod(
            "feature transfer",
            "feature_transfer",
            lambda seed: ktg.FeatureTransfer("digits", 10, seed=seed),
        ),
        DemoMethod(
            "parameter transfer",
            "parameter_transfer",
            lambda seed: ktg.ParameterTransfer("digits", 10, seed=seed),
            trained,
        ),
        DemoMethod(
            "structure transfer (LoRA)",
            "structure_transfer",
            lambda seed: ktg.StructureTransfer("digits", 10, method="lora", rank=4, seed=seed),
            trained,
        ),
    ]


def run_demo(
    output: Path, shots: int = 10, seeds: int = 3, generation: bool = True
) -> list[DemoResult]:
    """Run every method on every seed, print one table, and write a figure and the models.

    Args:
        output: Folder for `accuracy.png` and a `.keras` file per method.
        shots: Labelled examples per class.
        seeds: Repetitions, each with other labelled examples.
        generation: Whether a VAE and a conditional GAN learn to write digits, too.

    Returns:
        The results, a row a method.
    """
    console = Screen()
    console.print("Loading TensorFlow ...")
    import keras

    import keras_transgen as ktg
    from keras_transgen.plotting import plot_method_comparison, save_figure

    output.mkdir(parents=True, exist_ok=True)
    (x, y), (test_x, test_y) = ktg.datasets.load_digits_split(test_fraction=0.5)
    console.print(
        f"scikit-learn's digits, {shots} labelled examples a class, {len(test_x)} test images, "
        f"{seeds} seeds"
    )
    rows = methods(shots * 10)
    results = [DemoResult(row.name) for row in rows]
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(rows) * seeds)
        for seed in range(seeds):
            labelled = ktg.datasets.sample_per_class(y, shots, seed=seed)
            for row, result in zip(rows, results):
                progress.update(task, description=f"{row.name}, seed {seed}")
                keras.utils.set_random_seed(seed)
                model = row.make(seed)
                start = time.perf_counter()
                model.fit(x[labelled], y[labelled], verbose=0, **row.fit)
                result.seconds.append(time.perf_counter() - start)
                result.trainable = _trained_parameters(model)
                accuracy = np.mean(model.classify(test_x, verbose=0) == test_y)
                result.accuracies.append(float(accuracy))
                if seed == 0:
                    model.save(output / f"{row.file}.keras")
                progress.advance(task)
    _print_table(console, results)
    figure = plot_method_comparison(
        {result.name: result.accuracies for result in results},
        details={
            result.name: f"{result.trainable:,} parameters, {np.mean(result.seconds):.1f} s"
            for result in results
        },
        score_name="test accuracy",
        title=f"Digits from {shots} labelled examples a class",
    )
    save_figure(figure, output / "accuracy.png")
    console.print(f"Figure: {output / 'accuracy.png'}")
    console.print(f"Models: {', '.join(str(output / f'{row.file}.keras') for row in rows)}")
    if generation:
        from keras_transgen.cli.demo_generation import run_generation

        run_generation(output, console)
    return results


def _trained_parameters(model: Any) -> int:
    return int(sum(np.prod(weight.shape) for weight in model.trainable_weights))


def _print_table(console: Screen, results: list[DemoResult]) -> None:
    table = Table()
    table.add_column("method")
    for column in ("trainable parameters", "accuracy (mean ± s.d.)", "seconds (mean)"):
        table.add_column(column, justify="right")
    for result in results:
        spread = np.std(result.accuracies, ddof=1) if len(result.accuracies) > 1 else 0.0
        table.add_row(
            result.name,
            f"{result.trainable:,}",
            f"{np.mean(result.accuracies):.3f} ± {spread:.3f}",
            f"{np.mean(result.seconds):.1f}",
        )
    console.print(table)
