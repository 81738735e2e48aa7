"""`keras-transgen translate`: the commands and their options; what they run is imported later."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

translate = typer.Typer(
    help="Train a model from images to images, and apply it to a folder.", no_args_is_help=True
)


class Translator(enum.StrEnum):
    """The kinds of models."""

    pix2pix = "pix2pix"
    cyclegan = "cyclegan"
    enhance = "enhance"


class Direction(enum.StrEnum):
    """Which half of a side-by-side image is the input."""

    left_to_right = "left_to_right"
    right_to_left = "right_to_left"


class Task(enum.StrEnum):
    """What `enhance` learns to undo."""

    super_resolution = "super-resolution"
    denoising = "denoising"
    inpainting = "inpainting"


@translate.command("train")
def translate_train(
    images: Annotated[
        Path,
        typer.Argument(
            help="A folder of images: pairs side by side for pix2pix, side A (or pairs side by "
            "side) for cyclegan, clean images for enhance.",
            show_default=False,
        ),
    ],
    others: Annotated[
        Path | None, typer.Argument(help="For cyclegan: a folder of images of side B.")
    ] = None,
    model: Annotated[Translator, typer.Option(help="What to train.")] = Translator.pix2pix,
    direction: Annotated[
        Direction, typer.Option(help="Input and target, where images are pairs side by side.")
    ] = Direction.left_to_right,
    task: Annotated[Task, typer.Option(help="For enhance: what to learn.")] = (
        Task.super_resolution
    ),
    factor: Annotated[int, typer.Option(min=2, help="Of super-resolution.")] = 2,
    sigma: Annotated[
        float, typer.Option(help="Of the noise, for denoising: white is 1, 25 of 255 is 0.1.")
    ] = 0.1,
    size: Annotated[int, typer.Option(min=8, help="Side of the images in pixels.")] = 128,
    filters: Annotated[
        int | None, typer.Option(min=1, help="Width of the networks. [default: the model's]")
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="A pretrained network for colour images (handle, archive, folder or .keras file) "
            "as the generators' encoder, for pix2pix and cyclegan. [default: none]"
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the images.")] = 20,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="[default: 4; 1 for cyclegan, 16 for enhance]")
    ] = None,
    validation: Annotated[
        Path | None,
        typer.Option(help="Folder of validation images; otherwise every tenth is held out."),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for the model, report and figures.")] = Path(
        "runs/translate"
    ),
    seed: Annotated[int, typer.Option(help="Of networks, noise and order.")] = 0,
    allow_unsafe_ops: Annotated[
        bool,
        typer.Option(
            "--allow-unsafe-ops", help="Load a module that reads or writes files or calls Python."
        ),
    ] = False,
) -> None:
    """Train on pairs (pix2pix), on two sets (cyclegan) or on clean images (enhance)."""
    from keras_transgen.cli.translate_train import run_train

    run_train(
        images,
        others,
        model=model.value,
        direction=direction.value,
        task=task.value,
        factor=factor,
        sigma=sigma,
        size=size,
        filters=filters,
        backbone=backbone,
        epochs=epochs,
        batch_size=batch_size,
        validation=validation,
        output=output,
        seed=seed,
        allow_unsafe_ops=allow_unsafe_ops,
    )


@translate.command("apply")
def translate_apply(
    model_file: Annotated[
        Path, typer.Argument(help="The .keras file that train wrote.", show_default=False)
    ],
    images: Annotated[
        Path,
        typer.Argument(
            help="A folder of images. A model that fills holes fills transparent pixels.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option(help="Folder for the PNG files.")] = Path(
        "runs/translated"
    ),
    backwards: Annotated[
        bool, typer.Option("--backwards", help="For a CycleGAN: from B to A.")
    ] = False,
    seed: Annotated[
        int | None, typer.Option(help="Makes the noise of a Pix2Pix reproducible.")
    ] = None,
) -> None:
    """Turn every image of a folder into what the model makes of it."""
    from keras_transgen.cli.translate_apply import run_apply

    run_apply(model_file, images, output, backwards=backwards, seed=seed)
