"""Data for a trained model, chunk by chunk, with a name for each example."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_transgen.cli.data_kinds import IMAGES, SEQUENCES, SOUND, TEXT, files_in
from keras_transgen.cli.model_input import input_shape, sequences_for, waves_for


@dataclass(frozen=True)
class Examples:
    """What is to be classified.

    Attributes:
        column: What the names are: `"file"`, `"row"` or `"record"`.
        names: One an example.
        chunks: Gives the model's inputs, so many examples at a time.
        note: How they were read, where people may wonder.
    """

    column: str
    names: list[str]
    chunks: Callable[[int], Iterator[Any]]
    note: str | None = None


def unlabelled_data(
    model: Any,
    record: dict[str, Any],
    paths: Sequence[Path],
    header: bool | None,
    skip_broken: bool = False,
) -> Examples:
    """Open data of the kind that a record tells.

    Args:
        model: A transfer model.
        record: What the model says of its data.
        paths: Files and folders; one table.
        header: Whether a table has one; `None` for what its columns tell.
        skip_broken: Whether images that cannot be read are left out, and named, and rows without
            a text.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The data cannot be read so.
    """
    kind = record["kind"]
    if header is not None and kind != TEXT:
        raise ValueError(
            f"Only tables have a header; leave out --header and --no-header. Received: {kind}"
        )
    if kind == IMAGES:
        return _images(record, paths, skip_broken)
    if kind == TEXT:
        return _texts(record, paths, header, skip_broken)
    if skip_broken:
        raise ValueError(
            f"--skip-broken is an option of images and tables; leave it out. Received: {kind}"
        )
    readers = {SOUND: _sound, SEQUENCES: _sequences}
    return readers[kind](model, record, paths, header)


def _in_parts(items: Sequence[Any], read: Callable[[Any], Any]) -> Callable[[int], Iterator[Any]]:
    return lambda size: (read(items[at : at + size]) for at in range(0, len(items), size))


def _images(record: dict[str, Any], paths: Sequence[Path], skip_broken: bool) -> Examples:
    import tensorflow as tf

    from keras_transgen.datasets import ImageIndex
    from keras_transgen.datasets.image_decoding import decoding
    from keras_transgen.datasets.image_file import MAX_PIXELS
    from keras_transgen.datasets.readable_images import readable_images

    files = files_in(paths, IMAGES)
    found = readable_images(
        ImageIndex(tuple(files), None, None), "quick", skip_broken, MAX_PIXELS, "classify"
    )
    files = list(found.index.paths)
    how = decoding(
        tuple(record["size"]),
        tuple(record["value_range"]),
        record["color_mode"],
        record.get("crop", True),
    )

    def chunks(size: int) -> Iterator[Any]:
        data = found.files().map(
            lambda file: found.image(file, how), num_parallel_calls=tf.data.AUTOTUNE
        )
        return data.batch(size).prefetch(1).as_numpy_iterator()

    return Examples("file", files, chunks)


def _texts(
    record: dict[str, Any], paths: Sequence[Path], header: bool | None, skip_broken: bool
) -> Examples:
    from keras_transgen.datasets.text_table import numbered_text_table

    if len(paths) != 1 or paths[0].is_dir():
        raise ValueError(
            f"Expected one table of texts (CSV, TSV). Received: {', '.join(map(str, paths))}"
        )
    columns = record.get("columns", ["text"])
    table, numbers = numbered_text_table(
        paths[0], columns, None, header=header, skip_missing=skip_broken
    )
    texts, rows = table.texts, list(map(str, numbers))
    note = None
    if len(numbers) < numbers[-1]:
        note = f"{numbers[-1] - len(numbers):,} row(s) without a text are left out."
    if header is None and not any(isinstance(column, str) for column in columns):
        # A first row of names would be classified too.
        note = f"{note} " if note else ""
        note += "Every row is read as a text, the first one too; --header says that it has names."
    if record.get("kmers") is None:
        return Examples("row", rows, _in_parts(texts, list), note)
    named = list(zip(rows, texts))
    return Examples("row", rows, _in_parts(named, lambda part: _formed(part, record, "row")), note)


def _sound(
    model: Any, record: dict[str, Any], paths: Sequence[Path], header: bool | None
) -> Examples:
    from keras_transgen.datasets import read_wav

    files = files_in(paths, SOUND)
    shape = input_shape(model)

    def read(part: Sequence[str]) -> Any:
        return waves_for(
            [read_wav(file, record["sample_rate"]).samples for file in part], record, shape
        )

    return Examples("file", files, _in_parts(files, read))


def _sequences(
    model: Any, record: dict[str, Any], paths: Sequence[Path], header: bool | None
) -> Examples:
    from keras_transgen.datasets import read_fasta

    records = [each for file in files_in(paths, SEQUENCES) for each in read_fasta(file)]
    return Examples(
        "record",
        [each.name for each in records],
        _in_parts(
            [(each.name, each.sequence) for each in records],
            lambda part: _formed(part, record, "record"),
        ),
    )


def _formed(named: Sequence[tuple[str, str]], record: dict[str, Any], what: str) -> Any:
    """Sequences as the model takes them; a wrong one is named."""
    try:
        return sequences_for([sequence for _, sequence in named], record)
    except ValueError:
        for name, sequence in named:
            try:
                sequences_for([sequence], record)
            except ValueError as error:
                raise ValueError(f"In the {what} {name!r}: {error}") from None
        raise
