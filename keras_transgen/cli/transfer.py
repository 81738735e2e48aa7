"""`keras-transgen transfer`: a classifier for one's own data on a pretrained network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from keras_transgen.cli.columns import Header
from keras_transgen.cli.data_kinds import Kind, kind_of
from keras_transgen.cli.kmers import MOST_LETTERS, refuse_uses_of_a_network
from keras_transgen.cli.one_at_a_time import one_at_a_time
from keras_transgen.cli.options import (
    BatchSize,
    Check,
    ImageSize,
    Preprocessing,
    SkipBroken,
    Source,
    UnsafeOps,
    ValueRange,
    loading_console,
    range_of,
    rate_option,
    refuse_output,
    seed_option,
)
from keras_transgen.cli.resumable import Minutes, Restart, ResumableTraining, Steps
from keras_transgen.cli.transfer_options import (
    FEATURE,
    PARAMETER,
    refuse_options_of_other_kinds,
    refuse_options_of_other_methods,
    transfer_methods,
)
from keras_transgen.cli.transfer_training import train_transfer

# What may differ from one run to the next that goes on with it.
_MAY_CHANGE = ("minutes", "output", "restart")


class MethodsInHelp(TyperCommand):
    """The command whose help reads the registry, so that other help need not import it."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        for parameter in self.params:
            if parameter.name == "method":
                parameter.metavar = f"<{'|'.join(transfer_methods())}>"
        super().format_help(ctx, formatter)


def _known_method(method: str) -> str:
    if method not in (FEATURE, PARAMETER) and method not in transfer_methods():
        raise typer.BadParameter(f"{method!r} is none of {', '.join(transfer_methods())}.")
    return method


@one_at_a_time
def run_transfer(
    backbone: Source,
    data: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="DATA...",
            help="A folder with one folder of images or recordings (WAV) a class; a table of texts "
            "(CSV, TSV); or sequences (FASTA): one file a class, or a folder of such files.",
            show_default=False,
        ),
    ] = None,
    kind: Kind = None,
    text: Annotated[
        str | None,
        typer.Option(
            help="Of a table: columns of the texts, by name or by number from 0, with commas.",
            show_default="text",
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(help="Of a table: column of the classes.", show_default="label"),
    ] = None,
    header: Header = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            help="Regular expression whose group 'label' is the class: of sound for the whole name "
            r"of a file, '(?P<label>\d)_.*'; of sequences to be found in a header."
        ),
    ] = None,
    sample_rate: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Of sound: samples per second that the network was trained on.",
            show_default="the first recording's",
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Of sound: length that recordings are cut or padded to, in seconds.",
            show_default="the network's, or each its own",
        ),
    ] = None,
    alphabet: Annotated[
        str | None,
        typer.Option(
            help="Of sequences: the letters, in the network's order.",
            show_default="ACGT; with 20 letters, the amino acids'",
        ),
    ] = None,
    length: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Of sequences: letters that all are cut or padded to.",
            show_default="the network's, or each its own",
        ),
    ] = None,
    kmers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST_LETTERS,
            help="Of sequences, in FASTA or a table: count words of so many letters, and fit the "
            "classifier to their shares. Leave the network out.",
            show_default="no",
        ),
    ] = None,
    image_size: ImageSize = None,
    augmentation: Annotated[
        Literal["none", "flip", "shift", "photo"] | None,
        typer.Option(
            help="Of images: how they are varied in training. 'photo' flips, shifts, turns and "
            "zooms a little.",
            show_default="none",
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(callback=_known_method, help="The kind of transfer."),
    ] = FEATURE,
    classifier: Annotated[
        Literal["linear", "nearest_centroid", "k_nearest_neighbours"] | None,
        typer.Option(help="Of 'feature': what is fitted.", show_default="linear"),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            help="Of 'feature': layers of the network that are used together, with commas.",
            show_default="its output",
        ),
    ] = None,
    rank: Annotated[
        int | None,
        typer.Option(min=1, help="Of 'lora' its rank, of 'adapter' its width.", show_default="8"),
    ] = None,
    learning_rate: Annotated[
        float | None,
        rate_option("looked for on held-out examples"),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Passes over the data; not used by 'feature'.",
            show_default="about 200 steps",
        ),
    ] = None,
    steps: Steps = None,
    minutes: Minutes = None,
    early_stopping: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="End after so many epochs without a lower loss on the validation data, and keep "
            "the best weights.",
            show_default="no",
        ),
    ] = None,
    validation: Annotated[
        Path | None,
        typer.Option(
            help="Validation data, of the same kind.",
            show_default="a fifth of each class, held out",
        ),
    ] = None,
    batch_size: BatchSize = 32,
    output: Annotated[Path, typer.Option(help="Folder for the model, report and figures.")] = Path(
        "runs/transfer"
    ),
    restart: Restart = False,
    seed: Annotated[int, seed_option("Of the split, the head and the training.")] = 0,
    check: Check = "quick",
    skip_broken: SkipBroken = False,
    value_range: ValueRange = None,
    preprocessing: Preprocessing = None,
    allow_unsafe_ops: UnsafeOps = False,
) -> dict[str, Any]:
    """Train a classifier of images, texts, sound or sequences on a pretrained network."""
    given = [] if data is None else [data] if isinstance(data, str | Path) else list(data)
    if kmers is not None:
        # There is no network; what stands in its place is data.
        given, backbone = [Path(backbone), *given], f"shares of {kmers}-mers"
    if not given:
        raise ValueError(
            "Expected data behind the network, or sequences and --kmers. "
            f"Received: {backbone} alone"
        )
    data = [Path(each) for each in given]
    settings = {
        name: value for name, value in locals().items() if name not in (*_MAY_CHANGE, "given")
    }
    refuse_options_of_other_methods(
        method,
        {
            "--classifier": classifier,
            "--layers": layers,
            "--rank": rank,
            "--learning-rate": learning_rate,
            "--epochs": epochs,
            "--steps": steps,
            "--minutes": minutes,
            "--early-stopping": early_stopping,
        },
    )
    if kmers is not None:
        options = {"--layers": layers, "--length": length}
        options["--method"] = None if method == FEATURE else method
        refuse_uses_of_a_network(kmers, data, options)
    kind = kind or kind_of(data)  # type: ignore[assignment]
    refuse_options_of_other_kinds(
        str(kind),
        {
            "--text": text,
            "--label": label,
            "--header": header,
            "--pattern": pattern,
            "--sample-rate": sample_rate,
            "--seconds": seconds,
            "--alphabet": alphabet if kmers is None else None,
            "--kmers": kmers,
            "--length": length,
            "--image-size": image_size,
            "--augmentation": augmentation,
            "--value-range": value_range,
            "--preprocessing": preprocessing,
            "--check": None if check == "quick" else check,
            "--skip-broken": skip_broken or None,
        },
    )
    range_of(value_range, preprocessing)
    refuse_output(output)
    console = loading_console()
    with ResumableTraining(output, settings, console, restart, minutes, steps) as run:
        return train_transfer(run, str(kind), data, settings)
