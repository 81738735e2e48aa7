"""`keras-transgen text evaluate`: how well a trained model knows texts, or translates them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keras_transgen.cli.columns import Header
from keras_transgen.cli.data_kinds import refuse_missing
from keras_transgen.cli.options import loading_console, model_in, refuse_output
from keras_transgen.cli.text_data import read_pairs, read_texts
from keras_transgen.cli.text_write import BEAM, ModelFile


def run_text_evaluate(
    model_file: ModelFile,
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA...",
            help="Text files, folders of them, or a table; for a translator a table with a column "
            "for each side, or two files, line by line.",
            show_default=False,
        ),
    ],
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
        typer.Option(help="Of a table: column of the references.", show_default="target"),
    ] = None,
    header: Header = None,
    lines: Annotated[
        bool | None,
        typer.Option(
            "--lines/--whole",
            help="Whether each line of a text file is a text, or the file is one.",
            show_default="whole files for a language model, lines for a VAE",
        ),
    ] = None,
    beam: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Of a translator: hypotheses kept side by side.",
            show_default=f"{BEAM}, as `text translate`",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="JSON file for the numbers.", show_default="the screen alone"),
    ] = None,
) -> dict[str, float]:
    """Measure perplexity and bits of texts, or BLEU and chrF of translations."""
    if output is not None:
        refuse_output(output, folder=False)
    paths = [Path(each) for each in ([data] if isinstance(data, str | Path) else data)]
    refuse_missing(paths)
    console = loading_console()
    import keras_transgen as ktg
    from keras_transgen.cli.text_report import in_words, text_report
    from keras_transgen.training import write_whole_json

    model = ktg.load_model(model_in(model_file), compile=False)
    if not hasattr(model, "log_likelihood") or not (
        hasattr(model, "vocabulary") or hasattr(model, "target_vocabulary")
    ):
        raise ValueError(
            "This file holds no model of texts, which `keras-transgen text train` makes. "
            f"Received: {type(model).__name__} in {model_file}"
        )
    if hasattr(model, "target_vocabulary"):
        _refuse("a translator", {"--text": text, "--lines or --whole": lines})
        report = text_report(model, *read_pairs(paths, source, target, header), beam or BEAM)
    else:
        _refuse("this model", {"--source": source, "--target": target, "--beam": beam})
        by_line = hasattr(model, "reconstruction_gap") if lines is None else lines
        texts = read_texts(paths, text, header, by_line)
        if lines is None and len(texts) == 1 and "\n" in texts[0].strip():
            console.print(
                "The file is read as one text; --lines reads each line as one.", highlight=False
            )
        report = text_report(model, texts)
    for line in in_words(report):
        console.print(line, highlight=False)
    if output is not None:
        write_whole_json(output, report)
    return report


def _refuse(whose: str, options: dict[str, object]) -> None:
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ValueError(
            f"These are no options of {whose}: leave them out. Received: {', '.join(given)}"
        )
