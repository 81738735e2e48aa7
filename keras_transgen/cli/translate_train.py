"""Training for `keras-transgen translate train`, with its report and figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from keras_transgen.cli.one_at_a_time import one_at_a_time
from keras_transgen.cli.options import (
    Check,
    OldSize,
    SkipBroken,
    UnsafeOps,
    ValueRange,
    loading_console,
    one_size,
    range_of,
    refuse_output,
    say_written,
    seed_option,
)
from keras_transgen.cli.quiet import fit_verbosity
from keras_transgen.cli.resumable import (
    Epochs,
    Minutes,
    Restart,
    ResumableTraining,
    Steps,
    preview_interval,
    refuse_two_lengths,
)
from keras_transgen.cli.translate_data import one_set, two_sets

if TYPE_CHECKING:
    import tensorflow as tf

EPOCHS, IMAGE_SIZE = 20, 128
_PREVIEWS = "previews"
# What may differ from one run to the next that goes on with it, or has another name.
_MAY_CHANGE = ("minutes", "output", "restart", "size")
BATCH_SIZES = {"pix2pix": 4, "cyclegan": 1, "enhance": 16}
SHOWN = 8


@one_at_a_time
def run_train(
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
    model: Annotated[
        Literal["pix2pix", "cyclegan", "enhance"], typer.Option(help="What to train.")
    ] = "pix2pix",
    direction: Annotated[
        Literal["left_to_right", "right_to_left"],
        typer.Option(help="Input and target, where images are pairs side by side."),
    ] = "left_to_right",
    task: Annotated[
        Literal["super-resolution", "denoising", "inpainting"],
        typer.Option(help="For enhance: what to learn."),
    ] = "super-resolution",
    factor: Annotated[
        int, typer.Option(min=2, help="Of super-resolution: how many times larger images become.")
    ] = 2,
    sigma: Annotated[
        float, typer.Option(help="Of the noise, for denoising: white is 1, 25 of 255 is 0.1.")
    ] = 0.1,
    image_size: Annotated[
        int | None, typer.Option(min=8, help="Side of the images in pixels.", show_default="128")
    ] = None,
    size: OldSize = None,
    filters: Annotated[
        int | None, typer.Option(min=1, help="Width of the networks.", show_default="the model's")
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="A pretrained network for colour images (handle, archive, folder or .keras file) "
            "as the generators' encoder, for pix2pix and cyclegan.",
            show_default="none",
        ),
    ] = None,
    epochs: Epochs = None,
    steps: Steps = None,
    minutes: Minutes = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1, help="Images a batch.", show_default="4; 1 for cyclegan, 16 for enhance"
        ),
    ] = None,
    validation: Annotated[
        Path | None,
        typer.Option(help="Folder of validation images.", show_default="every tenth, held out"),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for the model, report and figures.")] = Path(
        "runs/translate"
    ),
    restart: Restart = False,
    seed: Annotated[int, seed_option("Of networks, noise and order.")] = 0,
    any_shape: Annotated[
        bool,
        typer.Option(
            "--any-shape", help="Pairs side by side need not be two squares; they are stretched."
        ),
    ] = False,
    check: Check = "quick",
    skip_broken: SkipBroken = False,
    value_range: ValueRange = None,
    allow_unsafe_ops: UnsafeOps = False,
) -> dict[str, Any]:
    """Train on pairs (pix2pix), on two sets (cyclegan) or on clean images (enhance)."""
    settings = {name: value for name, value in locals().items() if name not in _MAY_CHANGE}
    refuse_two_lengths(epochs, steps)
    if others is not None and model != "cyclegan":
        raise ValueError(
            "Only cyclegan takes two folders; pix2pix wants pairs side by side in one file each. "
            f"Received: {others} for {model}"
        )
    if validation is not None and model == "cyclegan":
        raise ValueError(
            "There is no measure of a CycleGAN on validation images; leave out --validation. "
            f"Received: --validation {validation}"
        )
    if backbone is not None and model == "enhance":
        raise ValueError(
            "Only pix2pix and cyclegan see through a pretrained network; leave out --backbone. "
            f"Received: --backbone {backbone} for {model}"
        )
    range_of(value_range)
    refuse_output(output)
    console = loading_console()
    settings["image_size"] = one_size(console, image_size, size) or IMAGE_SIZE
    with ResumableTraining(output, settings, console, restart, minutes, steps) as run:
        return _train(run, **settings)


def _train(
    run: ResumableTraining,
    images: Path,
    others: Path | None,
    model: str,
    direction: str,
    task: str,
    factor: int,
    sigma: float,
    image_size: int,
    filters: int | None,
    backbone: str | None,
    epochs: int | None,
    steps: int | None,
    batch_size: int | None,
    validation: Path | None,
    seed: int,
    any_shape: bool,
    check: str,
    skip_broken: bool,
    value_range: str | None,
    allow_unsafe_ops: bool,
) -> dict[str, Any]:
    import keras

    from keras_transgen.callbacks import TranslationGrid
    from keras_transgen.datasets.whole_file import refuse_links_below
    from keras_transgen.plotting import plot_learning_curves, save_figure
    from keras_transgen.training import write_whole_json

    keras.utils.set_random_seed(seed)
    output, size = run.output, image_size
    refuse_links_below(output, output / _PREVIEWS / "epoch_0001.png")
    width = {} if filters is None else {"filters": filters}
    generators = (
        {}
        if backbone is None
        else _generators(model, size, width, backbone, allow_unsafe_ops, range_of(value_range))
    )
    made = _model(model, size, {**generators, **width, "seed": seed}, task, factor, sigma)
    batch_size = batch_size or BATCH_SIZES[model]
    reading = {"check": check, "skip_broken": skip_broken, "any_shape": any_shape}
    if model == "cyclegan":
        train, held_out, count = two_sets(
            images, others, size, direction, batch_size, seed, reading
        )
    else:
        train, held_out, count = one_set(
            images,
            validation,
            size,
            direction if model == "pix2pix" else None,
            batch_size,
            seed,
            reading,
        )
    report: dict[str, Any] = {"model": model, "image_size": size, "images": count}
    if backbone is not None:
        report["backbone"] = backbone
    if model == "enhance":
        report["task"] = task
        report["before"] = _measured(made, held_out, ("psnr", "ssim"))
    fit = {} if model == "cyclegan" else {"validation_data": held_out}
    passes = run.epochs(epochs, train, EPOCHS)
    output.mkdir(parents=True, exist_ok=True)
    previews = TranslationGrid(
        *_shown(made, model, held_out, seed),
        folder=output / _PREVIEWS,
        every=preview_interval(passes),
        seed=seed,
        root=output,
    )
    made.fit(
        train, epochs=passes, callbacks=[*run.callbacks(), previews], verbose=fit_verbosity(), **fit
    )
    report["epochs"] = len(run.logs)
    report["last_epoch"] = run.logs[-1]
    report["steps"] = int(made.progress.step.numpy())
    if model == "enhance":
        report["after"] = _measured(made, held_out, ("psnr", "ssim"))

    made.save(output / "model.keras")
    write_whole_json(output / "report.json", report)
    save_figure(plot_learning_curves(run.curves()), output / "learning_curves.png")
    save_figure(previews.drawn()[0], output / "translations.png")
    for name in ("before", "after"):
        if name in report:
            run.console.print(f"{name} training: {report[name]}")
    say_written(run.console, output)
    run.end()
    return report


def _generators(
    model: str,
    size: int,
    width: dict[str, int],
    source: str,
    allow_unsafe_ops: bool,
    value_range: tuple[float, float] | None = None,
) -> dict[str, Any]:
    """Generators whose encoder is a pretrained network; a CycleGAN has two, without noise."""
    from keras_transgen.cli.image_input import open_backbone, refuse_unknown_range
    from keras_transgen.fusion import backbone_generator

    backbone = open_backbone(source, allow_unsafe_ops, value_range)
    refuse_unknown_range(backbone)
    names = ["generator"] if model == "pix2pix" else ["generator_ab", "generator_ba"]
    made = {}
    for name in names:
        made[name] = backbone_generator(
            backbone, (size, size, 3), noise=model == "pix2pix", **width
        )
        made[name].name = name
    return made


def _model(
    model: str, size: int, options: dict[str, Any], task: str, factor: int, sigma: float
) -> Any:
    from keras_transgen.generative import translation

    shape = (size, size, 3)
    if model == "pix2pix":
        return translation.Pix2Pix(shape, **options)
    if model == "cyclegan":
        return translation.CycleGAN(shape, **options)
    degradations = {
        "super-resolution": lambda: translation.Downscaling(factor),
        "denoising": lambda: translation.Noise(sigma),
        "inpainting": translation.Holes,
    }
    # In the range of the other models, so that all files are read and written alike.
    return translation.Enhancer(shape, degradations[task](), value_range=(-1.0, 1.0), **options)


def _measured(model: Any, data: tf.data.Dataset, names: tuple[str, ...]) -> dict[str, float]:
    logs = model.evaluate(data, return_dict=True, verbose=0)
    return {name: float(logs[name]) for name in names}


def _shown(model: Any, kind: str, data: tf.data.Dataset, seed: int) -> tuple[Any, Any]:
    """The first images held out as the model takes them, and their targets, if there are any."""
    import numpy as np

    first = next(iter(data.unbatch().batch(SHOWN)))
    if kind == "cyclegan":
        return np.asarray(first[0]), None
    if kind == "enhance":
        clean = np.asarray(first)
        return np.asarray(model.degrade(clean, seed=seed)), clean
    return np.asarray(first[0]), np.asarray(first[1])
