"""The commands and their options. What they run is imported when it runs, so help is quick."""

from __future__ import annotations

import enum
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from keras_transgen.cli.stylize import stylize
from keras_transgen.cli.translate import translate
from keras_transgen.cli.tune import tune

app = typer.Typer(
    name="keras-transgen",
    help="Transfer learning and generative models for Keras 3.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)

Source = Annotated[
    str,
    typer.Argument(
        help="A TF-Hub or Kaggle handle, an archive, a folder with a SavedModel, a .keras file, or "
        "'digits' (the small network that comes with the package).",
        show_default=False,
    ),
]
Images = Annotated[
    Path, typer.Argument(help="A folder with one folder of images per class.", show_default=False)
]
UnsafeOps = Annotated[
    bool,
    typer.Option(
        "--allow-unsafe-ops", help="Load a module that reads or writes files or calls Python."
    ),
]


class Method(enum.StrEnum):
    """How a pretrained network is put to use."""

    feature = "feature"
    parameter = "parameter"
    lora = "lora"
    ia3 = "ia3"
    bias = "bias"
    normalization = "normalization"
    last = "last"


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Folder for the figure and models.")] = Path(
        "runs/demo"
    ),
    shots: Annotated[int, typer.Option(min=1, help="Labelled examples per class.")] = 10,
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions with other examples.")] = 3,
    generation: Annotated[
        bool, typer.Option(help="Train a VAE and a conditional GAN on the digits, too.")
    ] = True,
) -> None:
    """The main job on embedded data: three transfers against none, and two generative models."""
    from keras_transgen.cli.demo import run_demo

    run_demo(output, shots=shots, seeds=seeds, generation=generation)


@app.command()
def transfer(
    backbone: Source,
    images: Images,
    method: Annotated[Method, typer.Option(help="The kind of transfer.")] = Method.feature,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Passes over the images; not used by 'feature'. [default: 5]"),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for the model, report and figures.")] = Path(
        "runs/transfer"
    ),
    validation: Annotated[
        Path | None,
        typer.Option(help="Folder of validation images; otherwise a fifth is held out."),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(min=8, help="Side in pixels, where the module takes any.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1)] = 32,
    rank: Annotated[int, typer.Option(min=1, help="Rank of LoRA's matrices.")] = 8,
    seed: Annotated[int, typer.Option(help="Of the split, the head and the training.")] = 0,
    allow_unsafe_ops: UnsafeOps = False,
) -> None:
    """Train a classifier for a folder of images on a pretrained network."""
    from keras_transgen.cli.transfer import run_transfer

    run_transfer(
        backbone,
        images,
        method=method.value,
        epochs=epochs,
        output=output,
        validation=validation,
        image_size=image_size,
        batch_size=batch_size,
        rank=rank,
        seed=seed,
        allow_unsafe_ops=allow_unsafe_ops,
    )


@app.command()
def inspect(source: Source, allow_unsafe_ops: UnsafeOps = False) -> None:
    """Show a module's input contract, parameter groups, ops and digest."""
    from keras_transgen.cli.inspect import run_inspect

    run_inspect(source, allow_unsafe_ops=allow_unsafe_ops)


@app.command()
def extract(
    backbone: Source,
    images: Annotated[
        Path, typer.Argument(help="A folder of images, by class or not.", show_default=False)
    ],
    output: Annotated[
        Path,
        typer.Argument(
            help="File to write: .npz; with --ray, a folder of Parquet files.", show_default=False
        ),
    ],
    image_size: Annotated[
        int | None, typer.Option(min=8, help="Side in pixels, where the module takes any.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1)] = 32,
    ray: Annotated[
        bool,
        typer.Option(
            "--ray",
            help="On a Ray cluster (that of RAY_ADDRESS, or this machine), for more images than "
            "fit one machine; a stopped run goes on.",
        ),
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="With --ray: processes that hold the backbone.")
    ] = None,
    allow_unsafe_ops: UnsafeOps = False,
) -> None:
    """Write the features of a folder of images to a file."""
    from keras_transgen.cli.extract import run_extract, run_extract_with_ray

    if workers is not None and not ray:
        raise ValueError(f"--workers is an option of --ray. Received: --workers {workers}")
    options: dict[str, Any] = {
        "image_size": image_size,
        "batch_size": batch_size,
        "allow_unsafe_ops": allow_unsafe_ops,
    }
    if ray:
        run_extract_with_ray(backbone, images, output, num_workers=workers, **options)
    else:
        run_extract(backbone, images, output, **options)


generate = typer.Typer(help="Train a generative model on images, and draw samples from it.")
app.add_typer(generate, name="generate", no_args_is_help=True)
app.add_typer(translate, name="translate", no_args_is_help=True)
app.command()(stylize)
app.command()(tune)


class Generator(enum.StrEnum):
    """The kinds of generative models."""

    vae = "vae"
    gan = "gan"
    conditional_gan = "conditional-gan"


class Color(enum.StrEnum):
    """Channels of the images."""

    rgb = "rgb"
    grayscale = "grayscale"


@generate.command("train")
def generate_train(
    images: Annotated[
        str,
        typer.Argument(
            help="A folder of images (by class for the conditional GAN), or 'digits', which come "
            "with the package."
        ),
    ] = "digits",
    model: Annotated[Generator, typer.Option(help="What to train.")] = Generator.vae,
    size: Annotated[
        int | None,
        typer.Option(min=4, help="Side of the images in pixels. [default: 64; 8 for 'digits']"),
    ] = None,
    color: Annotated[Color, typer.Option(help="Channels of a folder's images.")] = Color.rgb,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the images.")] = 20,
    batch_size: Annotated[int, typer.Option(min=1)] = 64,
    latent_dim: Annotated[
        int | None, typer.Option(min=1, help="Size of the latent vector. [default: the model's]")
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for the model, grids and curves.")] = Path(
        "runs/generate"
    ),
    seed: Annotated[int, typer.Option(help="Of networks, noise and order.")] = 0,
) -> None:
    """Train a VAE, a GAN or a conditional GAN."""
    from keras_transgen.cli.generate import run_train

    run_train(
        images,
        model=model.value,
        size=size,
        color=color.value,
        epochs=epochs,
        batch_size=batch_size,
        latent_dim=latent_dim,
        output=output,
        seed=seed,
    )


@generate.command("sample")
def generate_sample(
    model_file: Annotated[
        Path, typer.Argument(help="The .keras file of a generative model.", show_default=False)
    ],
    output: Annotated[
        Path, typer.Argument(help="PNG file; with --separate, a folder.", show_default=False)
    ],
    count: Annotated[
        int, typer.Option(min=1, help="How many; per class, without --condition.")
    ] = 64,
    condition: Annotated[
        int | None, typer.Option(min=0, help="Class to draw, for a conditional GAN.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Makes the samples reproducible.")] = None,
    separate: Annotated[bool, typer.Option("--separate", help="One file a sample.")] = False,
) -> None:
    """Draw samples from a trained model's file."""
    from keras_transgen.cli.generate import run_sample

    run_sample(model_file, output, count=count, condition=condition, seed=seed, separate=separate)


@app.command()
def evaluate(
    real: Annotated[Path, typer.Argument(help="Folder of real images.", show_default=False)],
    generated: Annotated[
        Path,
        typer.Argument(
            help="Folder of samples, or the .keras file of a generative model.",
            show_default=False,
        ),
    ],
    backbone: Annotated[
        str, typer.Option(help="Whose features are compared; its name is in the metrics' names.")
    ] = "digits",
    image_size: Annotated[
        int | None, typer.Option(min=8, help="Side in pixels, where the module takes any.")
    ] = None,
    count: Annotated[int, typer.Option(min=2, help="Samples to draw from a model's file.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of these samples.")] = 0,
    output: Annotated[Path | None, typer.Option(help="JSON file for the metrics.")] = None,
    allow_unsafe_ops: UnsafeOps = False,
) -> None:
    """Fréchet and kernel distance, precision and recall of samples against real images."""
    from keras_transgen.cli.evaluate import run_evaluate

    run_evaluate(
        real,
        generated,
        backbone=backbone,
        image_size=image_size,
        count=count,
        seed=seed,
        output=output,
        allow_unsafe_ops=allow_unsafe_ops,
    )


def main() -> None:
    """Run the command; an error that says what to do is shown without its traceback.

    `KERAS_TRANSGEN_TRACEBACK=1` shows it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # On CPUs without AVX-512, TensorFlow leaves its faster convolutions off.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    try:
        app()
    except Exception as error:
        import traceback

        from rich.text import Text

        from keras_transgen.datasets.screen import Screen

        screen = Screen(stderr=True)
        told = isinstance(error, (ValueError, OSError, ArithmeticError, ImportError))
        if not told or os.environ.get("KERAS_TRANSGEN_TRACEBACK"):
            screen.print(traceback.format_exc(), highlight=False, soft_wrap=True)
        else:
            screen.print(Text("Error", style="bold red"), end=" ")
            screen.print(str(error), highlight=False)
        sys.exit(1)
