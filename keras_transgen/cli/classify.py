"""`keras-transgen classify`: what a trained model says of files, folders or a table."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_transgen.cli.answers import SHOWN, answers, columns, show_answers, write_answers
from keras_transgen.cli.columns import Header
from keras_transgen.cli.data_kinds import refuse_missing, refuse_other_kind
from keras_transgen.cli.model_record import record_of
from keras_transgen.cli.options import (
    BatchSize,
    UnsafeOps,
    loading_console,
    model_in,
    progress_bar,
    refuse_output,
)

if TYPE_CHECKING:
    from keras_transgen.datasets.screen import Screen

# Batches that are read together, before the bar moves.
_BATCHES = 8


def run_classify(
    model_file: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="The .keras file that `transfer` wrote, or Python of any classifier.",
            show_default=False,
        ),
    ],
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA...",
            help="What the model takes: images, recordings (WAV) or sequences (FASTA), files and "
            "folders of them; or one table of texts.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            help="CSV file for the answers.", show_default="the first twenty on the screen"
        ),
    ] = None,
    top: Annotated[
        int, typer.Option(min=1, help="How many of the most probable classes to name.")
    ] = 1,
    text: Annotated[
        str | None,
        typer.Option(
            help="Of a table: columns of the texts, by name or by number from 0, with commas.",
            show_default="those that the model was trained on",
        ),
    ] = None,
    header: Header = None,
    sample_rate: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Of sound: samples per second that the model takes, where it does not say.",
            show_default="the model's",
        ),
    ] = None,
    alphabet: Annotated[
        str | None,
        typer.Option(
            help="Of sequences: the letters in the model's order, where it does not say.",
            show_default="the model's",
        ),
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(
            min=8,
            help="Of images: side in pixels, where the model takes any and does not say.",
            show_default="the model's",
        ),
    ] = None,
    batch_size: BatchSize = 32,
    skip_broken: Annotated[
        bool,
        typer.Option(
            "--skip-broken",
            help="Leave out images that cannot be read, which are named, and rows without a text.",
        ),
    ] = False,
    allow_unsafe_ops: UnsafeOps = False,
) -> Path | None:
    """Tell the class of each file, row or record, with its probabilities."""
    if output is not None:
        refuse_output(output, folder=False)
    paths = [Path(path) for path in ([data] if isinstance(data, str | Path) else data)]
    refuse_missing(paths)
    console = loading_console()
    import keras_transgen as ktg

    model = ktg.load_model(model_in(model_file), compile=False, allow_unsafe_ops=allow_unsafe_ops)
    _refuse_other_models(model, model_file, top)
    given = {
        "--text": text,
        "--sample-rate": sample_rate,
        "--alphabet": alphabet,
        "--image-size": image_size,
    }
    record = record_of(model, given)
    refuse_other_kind(paths, record["kind"])
    from keras_transgen.cli.unlabelled_data import unlabelled_data

    examples = unlabelled_data(model, record, paths, header, skip_broken)
    if examples.note:
        console.print(examples.note)
    several = model.task == "multi_label"
    names = list(model.class_names or map(str, range(model.num_classes)))
    top = min(top, len(names))
    head = columns(examples.column, names, top)

    def rows() -> Iterator[list[Any]]:
        at = 0
        wanted = len(examples.names) if output is not None else min(SHOWN, len(examples.names))
        with _progress(console, wanted) as advance:
            for chunk in examples.chunks(_BATCHES * batch_size):
                try:
                    found = model.predict_probabilities(chunk, batch_size=batch_size, verbose=0)
                except ValueError as error:
                    raise ValueError(
                        f"Among those from {examples.names[at]!r} on: {error}"
                    ) from error
                part = examples.names[at : at + len(found)]
                at += len(found)
                advance(min(len(found), wanted))
                yield from answers(part, found, names, top, several)

    if output is None:
        shown = list(itertools.islice(rows(), SHOWN))
        show_answers(console, head, shown, len(examples.names), top)
        return None
    write_answers(output, head, rows())
    console.print(f"{len(examples.names):,} answers: {output}")
    return output


def _refuse_other_models(model: Any, model_file: Path, top: int) -> None:
    task = getattr(model, "task", None)
    if not hasattr(model, "predict_probabilities") or task not in (
        "classification",
        "multi_label",
    ):
        what = type(model).__name__ + (f" with task={task!r}" if task else "")
        raise ValueError(
            "This file holds no classifier (a model that `keras-transgen transfer` wrote). "
            f"Received: {what} in {model_file}"
        )
    if top > 1 and task == "multi_label":
        raise ValueError(
            "This model gives each example any number of labels, not one of several classes: leave "
            f"out --top. Received: --top {top} for task={task!r}"
        )


@contextlib.contextmanager
def _progress(console: Screen, count: int) -> Iterator[Callable[[int], None]]:
    """A bar over all examples; what is given moves it by so many."""
    with progress_bar(console) as bar:
        task = bar.add_task("classifying", total=count)
        yield lambda done: bar.advance(task, done)
