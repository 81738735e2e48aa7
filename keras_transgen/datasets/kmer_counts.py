"""Sequences of letters as how often each word of k letters occurs in them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from keras_transgen.datasets.one_hot_sequences import (
    DNA,
    check_strings,
    letter_table,
    unknown_letter,
)

MAX_BYTES = 2**32
_COMPLEMENTS = {"A": "T", "C": "G", "G": "C", "T": "A", "U": "A"}
# Letters that are counted at a time.
_PART = 2**22
_NO_LETTER = -1
_MOST_BITS = 62


def kmer_names(k: int, alphabet: str = DNA) -> list[str]:
    """The words of `k` letters in the order of `kmer_counts`' columns: the alphabet's.

    Args:
        k: Letters a word, from 1 up.
        alphabet: The letters. Defaults to `"ACGT"`.

    Example:
        ```python
        from keras_transgen.datasets import kmer_names

        assert kmer_names(2)[:5] == ["AA", "AC", "AG", "AT", "CA"]
        ```
    """
    return ["".join(word) for word in itertools.product(alphabet, repeat=k)]


def kmer_counts(
    sequences: Sequence[str],
    k: int,
    alphabet: str = DNA,
    *,
    ambiguity: bool = True,
    both_strands: bool = False,
    normalize: bool = False,
    max_bytes: int = MAX_BYTES,
) -> np.ndarray:
    """How often each word of `k` letters occurs, overlapping ones included.

    Letters are read as by `one_hot_sequences`: small ones count as large ones, T and U are the
    same in alphabets of nucleotides. Words that hold a code for several letters (`N`) or a gap are
    not counted.

    Args:
        sequences: Strings; those shorter than `k` have no words.
        k: Letters a word, from 1 up.
        alphabet: The letters, `DNA` (`"ACGT"`, the default), `RNA`, `PROTEIN` or any other.
        ambiguity: Whether codes for several letters and gaps are passed over; `False` refuses
            them. Defaults to `True`.
        both_strands: Count the words of the reverse complement too, since DNA may be read from
            either strand. Defaults to `False`.
        normalize: Divide by the number of words counted, so that lengths do not matter. Defaults
            to `False`.
        max_bytes: Most bytes of the array. Defaults to 4 GiB.

    Returns:
        float32 `[count, len(alphabet) ** k]`, columns as in `kmer_names`.

    Raises:
        ValueError: If a letter is not known, the array would be too large, or an argument is out
            of its range.

    Example:
        ```python
        from keras_transgen.datasets import kmer_counts, kmer_names

        (row,) = kmer_counts(["ACACNAC"], 2)
        found = {word: int(n) for word, n in zip(kmer_names(2), row) if n}
        assert found == {"AC": 3, "CA": 1}
        ```
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise ValueError(f"Expected k as a whole number from 1 up. Received: k={k!r}")
    check_strings(sequences)
    table, known = letter_table(alphabet, ambiguity)
    sequences = list(sequences)
    if k * np.log2(max(2, len(alphabet))) > _MOST_BITS:
        # A power of so many digits takes long to compute, and longer to print.
        raise ValueError(
            f"Expected fewer than 2^{_MOST_BITS} words: take a smaller k. Received: k={k:,} with "
            f"{len(alphabet)} letters"
        )
    size = len(alphabet) ** k
    if both_strands and not set(alphabet) <= set(_COMPLEMENTS):
        raise ValueError(
            "Expected an alphabet of nucleotides with both_strands=True. "
            f"Received: alphabet={alphabet!r}"
        )
    if len(sequences) * size * 4 > max_bytes:
        raise ValueError(
            f"Expected an array of at most max_bytes={max_bytes:,}. Take a smaller k, or give more "
            f"where memory allows. Received: {len(sequences):,} sequences and k={k}, "
            f"{len(sequences) * size * 4:,} bytes"
        )
    lengths = np.array([len(sequence) for sequence in sequences], "int64")
    # A character outside of ASCII becomes the question mark, which no table has.
    letters = np.frombuffer("".join(sequences).encode("ascii", "replace"), "uint8")
    if not known[letters].all():
        raise unknown_letter(
            sequences, lengths, int(np.argmin(known[letters])), alphabet, ambiguity
        )
    numbers = np.where(table.max(axis=1) == 1.0, table.argmax(axis=1), _NO_LETTER)
    counts = np.zeros((len(sequences), size), "float32")
    ends = np.cumsum(lengths)
    for row, (end, length) in enumerate(zip(ends, lengths)):
        for start in range(end - length, end, _PART):
            part = numbers[letters[start : min(end, start + _PART + k - 1)]]
            counts[row] += np.bincount(_words(part, k, len(alphabet)), minlength=size)
    if both_strands:
        counts += counts[:, _reverse_complements(k, alphabet)]
    if normalize:
        counts /= np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    return counts


def _words(letters: np.ndarray, k: int, base: int) -> np.ndarray:
    """The numbers of the words that a stretch of letters has, from left to right."""
    count = max(0, len(letters) - k + 1)
    words = np.zeros(count, "int64")
    whole = np.ones(count, bool)
    for place in range(k):
        here = letters[place : place + count]
        words = words * base + here
        whole &= here != _NO_LETTER
    return words[whole]


def _reverse_complements(k: int, alphabet: str) -> np.ndarray:
    """For each word the number of the one that stands across from it."""
    base = "T" if "T" in alphabet else "U"
    across = [alphabet.index(_COMPLEMENTS[letter].replace("T", base)) for letter in alphabet]
    letters = np.indices([len(alphabet)] * k).reshape(k, -1)
    found = np.zeros(letters.shape[1], "int64")
    for place in reversed(range(k)):
        found = found * len(alphabet) + np.array(across)[letters[place]]
    return found
