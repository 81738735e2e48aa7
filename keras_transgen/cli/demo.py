"""`keras-transgen demo`: three transfers to handwritten digits against training from scratch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from keras_transgen.cli.options import loading_console, refuse_output

EPOCHS = 30
BATCH_SIZE = 16


def _from_scratch(steps: int) -> Any:
    import keras

    import keras_transgen as ktg
    from keras_transgen.backbones.digits_network import digits_network

    backbone = ktg.KerasBackbone(
        digits_network(), trainable=True, normalization="adapt", value_range=(0.0, 1.0)
    )
    model = ktg.TransferModel(backbone, 10)
    # To zero at the end, as the others do: a constant rate leaves a bad last step in a seed or two.
    rate = keras.optimizers.schedules.CosineDecay(2e-3, steps)
    model.compile(optimizer=keras.optimizers.Adam(rate))
    return model


def methods(examples: int) -> dict[str, Callable[[], Any]]:
    """Makers of the three kinds of transfer, and of none, for so many labelled examples."""
    import keras_transgen as ktg

    steps = EPOCHS * -(-examples // BATCH_SIZE)
    return {
        "from scratch": lambda: _from_scratch(steps),
        "feature transfer": lambda: ktg.FeatureTransfer("digits", 10),
        "parameter transfer": lambda: ktg.ParameterTransfer("digits", 10),
        "structure transfer (LoRA)": lambda: ktg.StructureTransfer("digits", 10, rank=4),
    }


def run_demo(
    output: Annotated[Path, typer.Option(help="Folder for the figure and models.")] = Path(
        "runs/demo"
    ),
    shots: Annotated[int, typer.Option(min=1, help="Labelled examples per class.")] = 10,
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions with other examples.")] = 3,
    generation: Annotated[
        bool, typer.Option(help="Train a VAE and a conditional GAN on the digits, too.")
    ] = True,
    text: Annotated[
        bool, typer.Option(help="Train a language model on five chapters of a book, too.")
    ] = True,
) -> Any:
    """The main job on embedded data: three transfers, two models of images, and one of a text."""
    refuse_output(output)
    console = loading_console()
    import keras_transgen as ktg
    from keras_transgen.plotting import plot_method_comparison, save_figure

    output.mkdir(parents=True, exist_ok=True)
    (x, y), test = ktg.datasets.load_digits_split(test_fraction=0.5)
    console.print(
        f"scikit-learn's digits, {shots} labelled examples a class, {len(test[0])} test images, "
        f"{seeds} seeds"
    )
    first: dict[str, Any] = {}

    def kept(name: str, make: Callable[[], Any]) -> Callable[[], Any]:
        def made() -> Any:
            model = make()
            first.setdefault(name, model)
            return model

        return made

    found = ktg.few_shot_evaluation(
        {name: kept(name, make) for name, make in methods(shots * 10).items()},
        x,
        y,
        test=test,
        shots=[shots],
        seeds=seeds,
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
    )
    console.print(found.table())
    figure = plot_method_comparison(
        {row.method: row.accuracies for row in found.rows},
        details={
            row.method: f"{row.trainable_parameters:,} parameters, {row.seconds:.1f} s"
            for row in found.rows
        },
        score_name="test accuracy",
        title=f"Digits from {shots} labelled examples a class",
    )
    save_figure(figure, output / "accuracy.png")
    console.print(f"Figure: {output / 'accuracy.png'}")
    files = {name: output / f"{name.partition(' (')[0].replace(' ', '_')}.keras" for name in first}
    for name, file in files.items():
        model = first[name]
        model.save(file)
    console.print(f"Models: {', '.join(map(str, files.values()))}")
    if generation:
        from keras_transgen.cli.demo_generation import run_generation

        run_generation(output, console)
    if text:
        from keras_transgen.cli.demo_text import run_text

        run_text(output, console)
    return found
