"""`keras-transgen text train`: a language model, a translator or a text VAE from files of texts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from keras_transgen.cli.columns import Header
from keras_transgen.cli.data_kinds import refuse_missing
from keras_transgen.cli.one_at_a_time import one_at_a_time
from keras_transgen.cli.options import loading_console, rate_option, refuse_output, seed_option
from keras_transgen.cli.resumable import (
    Minutes,
    Restart,
    ResumableTraining,
    Steps,
    refuse_two_lengths,
)
from keras_transgen.cli.text_training import LANGUAGE, TRANSLATION, VAE, train_texts

_MAY_CHANGE = ("minutes", "output", "restart")


@one_at_a_time
def run_text_train(
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA...",
            help="Text files (UTF-8) or folders of them, or one table (CSV, TSV); to translate, a "
            "table with a column for each side, or two files, line by line.",
            show_default=False,
        ),
    ],
    model: Annotated[
        Literal["language", "translation", "vae"] | None,
        typer.Option(
            help="What to train.", show_default="translation if --target is given, else language"
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(
            help="Of a table: columns of the texts, by name or by number from 0, with commas.",
            show_default="text",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(help="Of a table: column to translate from.", show_default="source"),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Of a table: column to translate to.", show_default="target"),
    ] = None,
    header: Header = None,
    lines: Annotated[
        bool | None,
        typer.Option(
            "--lines/--whole",
            help="Whether each line of a text file is a text, or the file is one.",
            show_default="whole files for 'language', lines for 'vae'",
        ),
    ] = None,
    vocabulary: Annotated[
        Literal["characters", "bytes", "pieces"] | None,
        typer.Option(
            help="What a token is; pieces of words need SentencePiece.",
            show_default="characters for 'language', else pieces",
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            min=8, help="Most tokens of the vocabulary.", show_default="4000 pieces at most"
        ),
    ] = None,
    context: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Most tokens that the model sees.",
            show_default="256; for 'vae' the longest text",
        ),
    ] = None,
    layers: Annotated[
        int | None, typer.Option(min=1, help="Blocks.", show_default="the model's")
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(min=8, help="Size of the vectors, a multiple of 4.", show_default="128"),
    ] = None,
    latent_dim: Annotated[
        int | None,
        typer.Option(min=1, help="Of 'vae': size of the latent vector.", show_default="16"),
    ] = None,
    copying: Annotated[
        bool,
        typer.Option("--copying", help="Of 'translation': let tokens of the source be copied."),
    ] = False,
    learning_rate: Annotated[
        float | None,
        rate_option("the model's"),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Passes over the texts.",
            show_default="20, or as many as --steps or --minutes allow",
        ),
    ] = None,
    steps: Steps = None,
    minutes: Minutes = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1, help="Texts a batch.", show_default="32; in 'translation' 2,048 tokens"
        ),
    ] = None,
    validation: Annotated[
        list[Path] | None,
        typer.Option(
            help="Validation data, of the same kind; twice for two files.",
            show_default="a twentieth, held out",
        ),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for the model, report and samples.")] = Path(
        "runs/text"
    ),
    restart: Restart = False,
    seed: Annotated[int, seed_option("Of the network, the order and the samples.")] = 0,
) -> dict[str, Any]:
    """Train a language model, a translator or a variational autoencoder of texts."""
    settings = {name: value for name, value in locals().items() if name not in _MAY_CHANGE}
    refuse_two_lengths(epochs, steps)
    kind = model or (TRANSLATION if source or target else LANGUAGE)
    _refuse_options_of_others(
        kind,
        {
            "--text": (text, (LANGUAGE, VAE)),
            "--source": (source, (TRANSLATION,)),
            "--target": (target, (TRANSLATION,)),
            "--lines or --whole": (lines, (LANGUAGE, VAE)),
            "--latent-dim": (latent_dim, (VAE,)),
            "--copying": (copying or None, (TRANSLATION,)),
        },
    )
    if vocabulary == "bytes" and size is not None:
        raise ValueError(
            "There are 256 bytes, whatever the texts: leave out --size. "
            f"Received: --vocabulary bytes --size {size}"
        )
    refuse_output(output)
    paths = [Path(each) for each in ([data] if isinstance(data, str | Path) else data)]
    refuse_missing([*paths, *(validation or [])])
    console = loading_console()
    with ResumableTraining(output, settings, console, restart, minutes, steps) as run:
        return train_texts(run, kind, paths, validation, settings)


def _refuse_options_of_others(kind: str, options: dict[str, tuple[Any, tuple[str, ...]]]) -> None:
    for name, (value, kinds) in options.items():
        if value is not None and kind not in kinds:
            raise ValueError(
                f"{name} is an option of {' and '.join(f'--model {each}' for each in kinds)}. "
                f"Leave it out. Received: {name} with --model {kind}"
            )
