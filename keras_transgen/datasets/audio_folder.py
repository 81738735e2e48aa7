"""Read a folder of recordings with their classes."""

from __future__ import annotations

import re
import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_transgen.datasets.file_suffixes import WAVE_SUFFIXES
from keras_transgen.datasets.folder_index import files_by_class
from keras_transgen.datasets.named_labels import number_labels
from keras_transgen.datasets.printable import printable
from keras_transgen.datasets.wave_file import wave_and_own_rate

MAX_BYTES = 2**31


class AudioFolder(NamedTuple):
    """The recordings of a folder.

    Attributes:
        waves: float32 `[samples]` each, in [-1, 1].
        labels: int64 `[count]`, positions in `class_names`; `None` for recordings without classes.
        class_names: Names of the classes; `None` for recordings without classes.
        file_paths: The files.
    """

    waves: list[np.ndarray]
    labels: np.ndarray | None
    class_names: tuple[str, ...] | None
    file_paths: list[str]


def audio_folder(
    path: str | Path,
    sample_rate: int = 8000,
    *,
    pattern: str | None = None,
    labelled: bool = True,
    class_names: Sequence[str] | None = None,
    seconds: float | None = None,
    pad: bool = False,
    max_bytes: int = MAX_BYTES,
) -> AudioFolder:
    r"""The recordings (WAV) of a folder and the folders in it, always in the same order.

    All have one channel and one sample rate, and each its own length;
    `keras.utils.pad_sequences(waves, padding="post", dtype="float32")` makes one array of them.

    Args:
        path: The folder. Without a `pattern`, each folder in it is a class.
        sample_rate: Samples per second that all are resampled to, as by `read_wav`. Defaults to
            8,000. A warning tells if the files have several rates.
        pattern: A regular expression for the whole name of each file, whose group `label` is the
            name of its class: `r"(?P<label>\d)_.*\.wav"`. Classes are sorted, numbers by their
            value, and folders too.
        labelled: Whether there are classes. Defaults to `True`.
        class_names: The classes in the order wanted, and no others. Defaults to those that are
            found.
        seconds: Longest recording; what comes after is cut off. Defaults to whole recordings.
        pad: Whether silence follows shorter ones, so that all have `seconds`, for networks that
            take one length. Defaults to `False`.
        max_bytes: Most bytes of all recordings together, in float32. Defaults to 2 GiB.

    Returns:
        A named tuple `(waves, labels, class_names, file_paths)`.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If there are no recordings, a class without any, one class only, a file that
            cannot be read or that the pattern does not match, more than `max_bytes`, or an
            argument is out of its range.

    Example:
        ```python no-run
        from keras_transgen.datasets import audio_folder

        waves, labels, class_names, _ = audio_folder(
            "../shared/data/spoken_digits", pattern=r"(?P<label>\d)_.*\.wav"
        )
        ```
    """
    if seconds is not None and not seconds * sample_rate >= 1:
        raise ValueError(
            "Expected seconds that hold at least one sample, or None for whole recordings. "
            f"Received: seconds={seconds!r}"
        )
    if pad and seconds is None:
        raise ValueError(
            "Expected seconds, the length of all recordings, with pad=True. Received: seconds=None"
        )
    if pattern is not None and not labelled:
        raise ValueError(
            "Expected either a pattern, which names classes, or labelled=False. "
            f"Received: both, pattern={pattern!r}"
        )

    def place(position: int) -> str:
        return printable(file_paths[position])

    by_folder = labelled and pattern is None
    file_paths, labels, classes = files_by_class(path, WAVE_SUFFIXES, "recording", by_folder)
    if pattern is not None:
        labels, classes = number_labels(_names(file_paths, pattern), class_names, place)
    elif classes is not None and class_names is not None:
        assert labels is not None
        labels, classes = number_labels([classes[label] for label in labels], class_names, place)
    longest = None if seconds is None else int(min(seconds * sample_rate, sys.maxsize))
    if pad and (longest or 0) * len(file_paths) * 4 > max_bytes:
        raise ValueError(
            f"Expected recordings of at most max_bytes={max_bytes:,} together; give more where "
            f"memory allows, or fewer seconds. Received: {len(file_paths):,} recordings that are "
            f"padded to {seconds:g} seconds each"
        )
    waves: list[np.ndarray] = []
    rates: Counter[int] = Counter()
    left = max_bytes
    for file in file_paths:
        # Cut off, a long recording's memory must go: a slice would hold it.
        read, own_rate = wave_and_own_rate(file, sample_rate)
        wave = read.samples[:longest].copy()
        if pad:
            wave = np.pad(wave, (0, (longest or 0) - len(wave)))
        rates[own_rate] += 1
        left -= wave.nbytes
        if left < 0:
            raise ValueError(
                f"Expected recordings of at most max_bytes={max_bytes:,} together; give more where "
                "memory allows, or fewer seconds or a lower sample_rate. Received: "
                f"more, at file {len(waves) + 1} of {len(file_paths)} in {printable(path)}"
            )
        waves.append(wave)
    if len(rates) > 1:
        listed = ", ".join(f"{count:,} at {rate:,}" for rate, count in sorted(rates.items()))
        warnings.warn(
            f"The recordings have several sample rates ({listed}); all were resampled to "
            f"{sample_rate:,} samples a second. What a lower rate never held stays silent: look "
            "that the rate does not tell the class",
            stacklevel=2,
        )
    return AudioFolder(waves, labels, classes, list(file_paths))


def _names(file_paths: Sequence[str], pattern: str) -> list[str]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"Expected pattern as a regular expression. Received: pattern={pattern!r} ({error})"
        ) from error
    if "label" not in expression.groupindex:
        raise ValueError(
            "Expected a pattern with a group 'label', as in r'(?P<label>[a-z]+)_.*'. "
            f"Received: pattern={pattern!r}"
        )
    matches = [expression.fullmatch(Path(file).name) for file in file_paths]
    names = [match["label"] if match else None for match in matches]
    others = [file for file, name in zip(file_paths, names) if not name]
    if others:
        raise ValueError(
            "Expected a pattern that matches the whole name of every recording. Change it, or move "
            f"the others. Received: pattern={pattern!r}, and {len(others)} of {len(file_paths)} "
            f"files that it does not match, the first {printable(others[0])}"
        )
    return [name for name in names if name]
