"""`keras-transgen transfer --kmers`: a classifier on how often each word of letters occurs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_transgen.cli.data_kinds import SEQUENCES, TEXT, kind_of, refuse_missing

COUNTED = (SEQUENCES, TEXT)
MOST_LETTERS = 12
# Of the counts that a classifier is fitted to, which takes six times that.
_MOST_BYTES = 2**29


def refuse_uses_of_a_network(kmers: int, paths: Sequence[Path], options: dict[str, Any]) -> None:
    """Refuse what only a pretrained network has a use for, a network among the data first.

    Args:
        kmers: Letters a word.
        paths: What was given as data.
        options: Options that need a network, by their names; `None` for those not given.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Something needs a network.
    """
    for option, value in options.items():
        if value is not None:
            raise ValueError(
                "With --kmers a linear classifier is fitted to counts of words of letters, without "
                f"a pretrained network; leave out {option}. Received: --kmers {kmers} and "
                f"{option} {value}"
            )
    if not paths[0].exists():
        raise FileNotFoundError(
            "With --kmers there is no pretrained network: give sequences (FASTA, or a table) only. "
            f"Received: {paths[0]} (nothing there)"
        )
    refuse_missing(paths)
    for path in paths:
        try:
            found = kind_of([path])
        except ValueError:
            found = "something else"
        if found not in COUNTED:
            raise ValueError(
                "With --kmers there is no pretrained network: give sequences (FASTA, or a table) "
                f"only. Received: {path}, which is {found}"
            )


def kmer_record(kind: str, kmers: int, alphabet: str | None, columns: Any = None) -> dict[str, Any]:
    """How sequences are counted for a model.

    Args:
        kind: `"sequences"`, or `"text"` for those in a table.
        kmers: Letters a word.
        alphabet: The letters; `None` for those of DNA.
        columns: Of a table.
    """
    from keras_transgen.datasets import DNA

    record = {"kind": kind, "alphabet": alphabet or DNA, "kmers": kmers}
    return record if columns is None else {**record, "columns": columns}


def kmer_network(kmers: int, alphabet: str | None) -> Any:
    """What stands in a backbone's place: shares of words, 1 for what letters at random have.

    Args:
        kmers: Letters a word.
        alphabet: The letters; `None` for those of DNA.

    Raises:
        ValueError: The alphabet is none, or there are too many words.
    """
    import keras

    from keras_transgen.backbones import KerasBackbone
    from keras_transgen.datasets import DNA, kmer_counts

    alphabet = alphabet or DNA
    # Refuses what is no alphabet, and more words than memory holds.
    kmer_counts([""], kmers, alphabet)
    words = len(alphabet) ** kmers
    layers = [keras.Input((words,), name="words"), keras.layers.Rescaling(float(words))]
    return KerasBackbone(keras.Sequential(layers, name=f"counts_of_{kmers}_mers"))


def kmer_features(sequences: Sequence[str], record: dict[str, Any]) -> Any:
    """Each sequence as the share of each word among its words, float32 `[count, words]`.

    Args:
        sequences: Strings.
        record: As `kmer_record` makes it.

    Raises:
        ValueError: A letter is not of the alphabet, or there are too many words to fit a
            classifier to.
    """
    from keras_transgen.datasets import DNA, kmer_counts

    alphabet = record.get("alphabet", DNA)
    k = record["kmers"]
    counts = kmer_counts(sequences, k, alphabet, normalize=True, max_bytes=_MOST_BYTES)
    if not counts.any(axis=1).all():
        warnings.warn(
            f"Sequences without any word of {k} known letters are told apart by nothing: what is "
            "said of them is what is said of no letters at all.",
            stacklevel=3,
        )
    return counts
