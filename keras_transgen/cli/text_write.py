"""`keras-transgen text generate` and `text translate`: texts from a trained model's file."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from keras_transgen.cli.columns import Header
from keras_transgen.cli.data_kinds import refuse_missing
from keras_transgen.cli.options import (
    BatchSize,
    loading_console,
    model_in,
    progress_bar,
    refuse_output,
    seed_option,
)
from keras_transgen.cli.unfinished_lines import UnfinishedLines

_STANDARD = Path("-")
# Hypotheses of a translator that are kept side by side.
BEAM = 5

ModelFile = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL", help="The .keras file that `text train` wrote.", show_default=False
    ),
]


def run_text_generate(
    model_file: ModelFile,
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            help="Where a text begins, of a language model; may be given several times.",
            show_default="nothing",
        ),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Texts, for each prompt.")] = 5,
    max_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Most tokens of a text.", show_default="256; of a VAE its own"),
    ] = None,
    temperature: Annotated[
        float, typer.Option(min=0.0, help="Below 1 more likely texts; 0 the likeliest token.")
    ] = 0.8,
    top_k: Annotated[
        int | None, typer.Option(min=1, help="Of so many likely tokens only.", show_default="all")
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Of the likely tokens that together have this probability only.",
            show_default="all",
        ),
    ] = None,
    seed: Annotated[int | None, seed_option("Makes the texts reproducible.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="File: .jsonl for prompts and texts, else the texts with a line --- between them.",
            show_default="the screen",
        ),
    ] = None,
) -> list[str]:
    """Write texts that go on from a prompt, or that a text VAE draws."""
    if output is not None:
        refuse_output(output, folder=False)
    console = loading_console(stderr=output is None)
    model = _loaded(model_file)
    prompts = [each for each in (prompt or [""]) for _ in range(count)]
    if hasattr(model, "sample"):
        if prompt:
            raise ValueError(
                "A text VAE draws whole texts: leave out --prompt. "
                f"Received: {type(model).__name__} in {model_file}"
            )
        texts = model.sample(count, seed, temperature, top_k, top_p, max_tokens)
    elif hasattr(model, "bits_per_character"):
        texts = model.generate(prompts, max_tokens or 256, temperature, top_k, top_p, seed)
        texts = [begin + text for begin, text in zip(prompts, texts)]
    else:
        raise ValueError(
            "This file holds no model that writes texts by itself; a translator's command is "
            f"keras-transgen text translate. Received: {type(model).__name__} in {model_file}"
        )
    if output is None:
        print("\n---\n".join(_on_screen(texts)))
    else:
        _write(output, prompts, texts)
        console.print(f"{len(texts)} texts: {output}")
    return texts


def run_text_translate(
    model_file: ModelFile,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="TEXT_FILE",
            help="A text file, each line a text; a table (CSV, TSV); or - for standard input.",
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
    header: Header = None,
    beam: Annotated[int, typer.Option(min=1, help="Hypotheses that are kept side by side.")] = BEAM,
    batch_size: BatchSize = 32,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Text file for the translations, line by line.", show_default="standard output"
        ),
    ] = None,
) -> list[str]:
    """Translate, or sum up, each line of a text file as a trained model does."""
    if output is not None:
        refuse_output(output, folder=False)
    if source != _STANDARD:
        refuse_missing([source])
    console = loading_console(stderr=output is None)
    model = _loaded(model_file)
    if not hasattr(model, "target_vocabulary"):
        raise ValueError(
            "This file holds no translator, which `keras-transgen text train --model translation` "
            f"makes. Received: {type(model).__name__} in {model_file}"
        )
    lines = _lines(source, text, header)
    full, most = _translatable(model, lines, source, console)
    before = None if output is None else UnfinishedLines(output, model_file, (beam, lines), console)
    made = {} if before is None else before.made
    found: list[str] = []
    with progress_bar(console) as bar:
        task = bar.add_task("translating", total=len(full))
        bar.advance(task, len(made))
        left = [row for row in full if row not in made]
        for at in range(0, len(left), batch_size):
            rows = left[at : at + batch_size]
            texts = model.generate([lines[row] for row in rows], beam, max_tokens=most)
            # A line for a line.
            made.update(zip(rows, (" ".join(text.split("\n")) for text in texts)))
            bar.advance(task, len(rows))
            if before is not None:
                before.keep()
            else:
                found += _print_lines(made, len(found), rows[-1] + 1)
    if output is None or before is None:
        return found + _print_lines(made, len(found), len(lines))
    from keras_transgen.training import write_whole_text

    # Empty lines stay where they are.
    found = [made.get(row, "") for row in range(len(lines))]
    write_whole_text(output, "\n".join(found) + "\n")
    before.end()
    console.print(f"{len(full):,} {'line' if len(full) == 1 else 'lines'} translated: {output}")
    return found


def _print_lines(made: Mapping[int, str], start: int, end: int) -> list[str]:
    """Prints lines as soon as they are there, empty ones where they are."""
    lines = [made.get(row, "") for row in range(start, end)]
    for line in _on_screen(lines):
        print(line, flush=True)
    return lines


def _loaded(model_file: Path) -> Any:
    import keras_transgen as ktg

    return ktg.load_model(model_in(model_file), compile=False)


def _translatable(
    model: Any, lines: Sequence[str], source: Path, console: Any
) -> tuple[list[int], int]:
    """Which lines are translated, and the most tokens of each, the same whatever the batches."""
    vocabulary = model.source_vocabulary
    tokens = vocabulary.encode(list(lines), end=True)
    long = [row for row, each in enumerate(tokens) if len(each) > model.context_length]
    if long:
        raise ValueError(
            f"The model reads lines of at most {model.context_length} tokens: shorten or divide "
            f"the others. Received: {len(long)} longer ones in {source}, the first of "
            f"{len(tokens[long[0]])} tokens in line {long[0] + 1}"
        )
    full = [row for row, line in enumerate(lines) if line.strip()]
    strange = [row for row in full if 2 * tokens[row].count(vocabulary.unknown) >= len(tokens[row])]
    if len(strange) == len(full):
        raise ValueError(
            "The model's vocabulary does not know these texts: another language, or another "
            f"model. Received: {len(full)} lines in {source}"
        )
    if strange:
        console.print(
            f"Left empty, since the model's vocabulary hardly knows them: {len(strange)} lines, "
            f"the first is line {strange[0] + 1}",
            highlight=False,
        )
    chosen = sorted(set(full) - set(strange))
    return chosen, min(16 + 2 * max(len(tokens[row]) for row in chosen), model.context_length)


def _lines(source: Path, text: str | None, header: bool | None) -> list[str]:
    from keras_transgen.cli.text_data import (
        is_table,
        lines_of,
        read_lines,
        read_texts,
        refuse_columns,
    )

    if is_table(source):
        return read_texts([source], text, header, lines=True)
    refuse_columns(source, {"--text": text, "--header": header})
    lines = lines_of(_standard_input()) if source == _STANDARD else read_lines(source)
    if not any(line.strip() for line in lines):
        raise ValueError(f"Expected lines of text. Received: none in {source}")
    return lines


def _standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            "Expected text in UTF-8 from standard input; convert it: iconv -f latin1 -t utf-8. "
            f"Received: other bytes at place {error.start}"
        ) from error


def _on_screen(texts: Sequence[str]) -> list[str]:
    """Texts in which nothing acts on a terminal, where there is one."""
    from keras_transgen.datasets.printable import printable_lines

    return [printable_lines(text) for text in texts] if sys.stdout.isatty() else list(texts)


def _write(output: Path, prompts: Sequence[str], texts: Sequence[str]) -> None:
    from keras_transgen.training import write_whole_text

    if output.suffix == ".jsonl":
        rows = [
            json.dumps({"prompt": prompt, "text": text}, ensure_ascii=False)
            for prompt, text in zip(prompts, texts)
        ]
        write_whole_text(output, "\n".join(rows) + "\n")
        return
    write_whole_text(output, "\n---\n".join(texts) + "\n")
