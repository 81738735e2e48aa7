"""Labelled data of every kind for `keras-transgen transfer`: to train on, and held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keras_transgen.cli.columns import column_of, columns_of
from keras_transgen.cli.data_kinds import FILE, IMAGES, SEQUENCES, SOUND, TEXT, suffixes_of
from keras_transgen.cli.image_input import image_input
from keras_transgen.cli.kmers import kmer_record
from keras_transgen.cli.model_input import (
    refuse_other_input,
    sequence_record,
    sequences_for,
    sound_record,
    waves_for,
)

HELD_OUT = 0.2
_FEWEST = 3


@dataclass(frozen=True)
class DataOptions:
    """What the command line says of the data; entries of other kinds are `None`."""

    text: str | None = None
    label: str | None = None
    header: bool | None = None
    pattern: str | None = None
    sample_rate: int | None = None
    seconds: float | None = None
    alphabet: str | None = None
    length: int | None = None
    kmers: int | None = None
    image_size: int | None = None
    preprocessing: str | None = None
    check: str = "quick"
    skip_broken: bool = False


@dataclass(frozen=True)
class Labelled:
    """Data to train and to judge a classifier on.

    Attributes:
        class_names: Names of the classes.
        record: How the data were read, for the model's file.
        fit: The arguments of `fit`, validation data included.
        held_out: Inputs held out, as `classify` takes them.
        labels: Class numbers of these.
        note: How they were read, where people may wonder.
    """

    class_names: list[str]
    record: dict[str, Any]
    fit: dict[str, Any] = field(repr=False)
    held_out: Any = field(repr=False)
    labels: Any = field(repr=False)
    note: str | None = None


def labelled_data(
    kind: str,
    backbone: Any,
    data: Sequence[Path],
    validation: Path | None,
    options: DataOptions,
    batch_size: int,
    seed: int,
    shuffle: bool = True,
) -> Labelled:
    """Read data of a kind as a backbone takes them.

    Args:
        kind: Of the data.
        backbone: A backbone.
        data: Files or folders.
        validation: The same of validation data; `None` to hold a fifth of each class out.
        options: What the command line says of them.
        batch_size: Examples a batch.
        seed: Of the split and the order.
        shuffle: Whether images to train on come in another order in each epoch. Defaults to `True`.

    Raises:
        ValueError: They cannot be read, or the backbone takes others.
    """
    if kind == IMAGES:
        return _images(backbone, _one(data, kind), validation, options, batch_size, seed, shuffle)
    if options.kmers is None:
        refuse_other_input(backbone, kind)
    shape = getattr(backbone.input_contract, "shape", None)
    readers = {TEXT: _texts, SOUND: _sound, SEQUENCES: _sequences}
    examples, labels, names, record = readers[kind](shape, data, options, None, None)
    if validation is None:
        rows, held_rows = held_out_rows(labels, names, seed)
        parts = [([examples[row] for row in part], labels[part]) for part in (rows, held_rows)]
    else:
        others, other_labels, _, _ = readers[kind](shape, [validation], options, record, names)
        parts = [(examples, labels), (others, other_labels)]
    (x, y), (held_out, held_labels) = [
        (_formed(kind, part[0], record, shape), part[1]) for part in parts
    ]
    fit = {"x": x, "y": y, "validation_data": (held_out, held_labels), "batch_size": batch_size}
    note = None
    if kind == SOUND and options.sample_rate is None:
        note = (
            f"Sound is read at {record['sample_rate']:,} samples a second, as the first recording "
            "has; --sample-rate says what the network was trained on"
        )
    return Labelled(list(names), record, fit, held_out, held_labels, note)


def held_out_rows(labels: Any, names: Sequence[str], seed: int) -> tuple[Any, Any]:
    """Rows to train on, and a fifth of each class.

    Raises:
        ValueError: A class has too few for both.
    """
    import numpy as np

    from keras_transgen.datasets import stratified_split

    refuse_small_classes(labels, names)
    return stratified_split(np.asarray(labels), HELD_OUT, seed)


def refuse_small_classes(
    labels: Any,
    names: Sequence[str],
    advice: str = "Add some, or give others with --validation.",
) -> None:
    """Refuse classes of which a fifth is less than one example.

    Args:
        labels: Class numbers.
        names: Names of the classes.
        advice: What to do.

    Raises:
        ValueError: There is one.
    """
    import numpy as np

    counts = np.bincount(labels, minlength=len(names))
    rarest = int(counts.argmin())
    if counts[rarest] < _FEWEST:
        raise ValueError(
            f"A fifth of each class is held out, so each must have {_FEWEST} examples at least. "
            f"{advice} Received: {counts[rarest]} of class {names[rarest]!r}"
        )


def _one(data: Sequence[Path], kind: str) -> Path:
    if len(data) != 1:
        raise ValueError(
            f"Expected one {'table' if kind == TEXT else 'folder'}; several files are for "
            f"sequences, one of each class. Received: {', '.join(map(str, data))}"
        )
    return data[0]


def _formed(kind: str, examples: Any, record: dict[str, Any], shape: Any) -> Any:
    if kind == TEXT and "kmers" not in record:
        return examples
    if kind == SOUND:
        return waves_for(examples, record, shape)
    return sequences_for(examples, record)


def _images(
    backbone: Any,
    folder: Path,
    validation: Path | None,
    options: DataOptions,
    batch_size: int,
    seed: int,
    shuffle: bool,
) -> Labelled:
    import numpy as np

    from keras_transgen.datasets import image_folder, image_folder_split, index_images
    from keras_transgen.datasets.image_index import list_images

    index = index_images(folder)
    names = list(index.class_names or ())
    wanted = image_input(backbone, options.image_size, folder, options.preprocessing)
    reading = wanted.options()
    record = {
        "kind": IMAGES,
        "size": list(reading["image_size"]),
        "color_mode": reading["color_mode"],
        "value_range": [float(end) for end in reading["value_range"]],
        "crop": bool(reading["crop_to_aspect_ratio"]),
    }
    reading |= {"check": options.check, "skip_broken": options.skip_broken}
    order: dict[str, Any] = {"batch_size": batch_size, "shuffle": shuffle, "seed": seed}
    if validation is None:
        try:
            refuse_small_classes(index.labels, names)
        except ValueError:
            # Files that were passed over may be why: a warning counts them.
            list_images(folder, True, "transfer")
            raise
        train, held_out = image_folder_split(folder, **order, **reading)
    else:
        other = list(index_images(validation).class_names or ())
        if other != names:
            raise ValueError(
                "Both folders must have the same classes. "
                f"Received: {names} in {folder}, {other} in {validation}"
            )
        train = image_folder(folder, **order, **reading)
        held_out = image_folder(validation, batch_size=batch_size, **reading)
    labels = np.concatenate([np.asarray(batch[1]) for batch in held_out])
    return Labelled(names, record, {"x": train, "validation_data": held_out}, held_out, labels)


def _texts(
    shape: Any,
    data: Sequence[Path],
    options: DataOptions,
    record: dict[str, Any] | None,
    names: Sequence[str] | None,
) -> tuple[Any, Any, Any, dict[str, Any]]:
    from keras_transgen.datasets import text_table

    columns = ["text"] if options.text is None else columns_of(options.text)
    label = "label" if options.label is None else column_of(options.label)
    table = text_table(_one(data, TEXT), columns, label, header=options.header, class_names=names)
    record = {"kind": TEXT, "columns": columns}
    if options.kmers is not None:
        record = kmer_record(TEXT, options.kmers, options.alphabet, columns)
    return table.texts, table.labels, table.class_names, record


def _sound(
    shape: Any,
    data: Sequence[Path],
    options: DataOptions,
    record: dict[str, Any] | None,
    names: Sequence[str] | None,
) -> tuple[Any, Any, Any, dict[str, Any]]:
    from keras_transgen.datasets import audio_folder, read_wav
    from keras_transgen.datasets.folder_index import files_by_class

    folder = _one(data, SOUND)
    if record is None:
        rate = options.sample_rate
        if rate is None:
            by_class = options.pattern is None
            first = files_by_class(folder, suffixes_of(SOUND), FILE[SOUND], by_class)[0][0]
            rate = read_wav(first).sample_rate
        record = sound_record(shape, rate, options.seconds)
    rate, samples = record["sample_rate"], record["samples"]
    found = audio_folder(
        folder,
        rate,
        pattern=options.pattern,
        class_names=names,
        # What comes after it is cut off, and need not be kept.
        seconds=None if samples is None else samples / rate,
    )
    return found.waves, found.labels, found.class_names, record


def _sequences(
    shape: Any,
    data: Sequence[Path],
    options: DataOptions,
    record: dict[str, Any] | None,
    names: Sequence[str] | None,
) -> tuple[Any, Any, Any, dict[str, Any]]:
    from keras_transgen.cli.labelled_sequences import labelled_sequences

    sequences, labels, found = labelled_sequences(data, options.pattern, names)
    if record is None and options.kmers is not None:
        record = kmer_record(SEQUENCES, options.kmers, options.alphabet)
    record = record or sequence_record(shape, options.alphabet, options.length)
    return sequences, labels, found, record
