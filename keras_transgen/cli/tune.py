"""`keras-transgen tune`: search for the best model of a folder of images, with Keras Tuner."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer


class Task(enum.StrEnum):
    """What is searched for."""

    transfer = "transfer"
    vae = "vae"
    gan = "gan"
    conditional_gan = "conditional-gan"


class Algorithm(enum.StrEnum):
    """How the next trial is chosen."""

    random = "random"
    bayesian = "bayesian"
    grid = "grid"


def tune(
    images: Annotated[
        str,
        typer.Argument(
            help="A folder of images (by class, for transfer and the conditional GAN), or "
            "'digits', which come with the package.",
            show_default=False,
        ),
    ],
    task: Annotated[Task, typer.Option(help="What to search for.")] = Task.transfer,
    trials: Annotated[int, typer.Option(min=1, help="Models to try.")] = 20,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the images a trial.")] = 5,
    backbone: Annotated[
        list[str] | None,
        typer.Option(
            help="For transfer: a handle, a folder or 'digits'; several times to choose from "
            "several."
        ),
    ] = None,
    space: Annotated[
        list[str] | None,
        typer.Option(
            help="Part of the search space: name=value, name=one,other or "
            "name=lowest:highest[:log]; several times for several."
        ),
    ] = None,
    algorithm: Annotated[Algorithm, typer.Option(help="How to choose.")] = Algorithm.random,
    output: Annotated[
        Path, typer.Option(help="Folder for the search, the table, the figure and the best model.")
    ] = Path("runs/tune"),
    size: Annotated[
        int | None,
        typer.Option(
            min=4, help="Side of the images in pixels. [default: what the backbone takes; 64]"
        ),
    ] = None,
    color: Annotated[
        str, typer.Option(help="For generative models: 'rgb' or 'grayscale'.")
    ] = "rgb",
    extractor: Annotated[
        str, typer.Option(help="For GANs: whose features compare samples with images.")
    ] = "digits",
    batch_size: Annotated[int, typer.Option(min=1)] = 32,
    seed: Annotated[int, typer.Option(help="Of the search, the split and the training.")] = 0,
) -> None:
    """Search for the best model of a folder; run again to go on where a search stopped."""
    from keras_transgen.cli.tune_search import run_tune

    run_tune(
        images,
        task=task.value,
        trials=trials,
        epochs=epochs,
        backbones=backbone or (),
        space=space or (),
        algorithm=algorithm.value,
        output=output,
        size=size,
        color=color,
        extractor=extractor,
        batch_size=batch_size,
        seed=seed,
    )
