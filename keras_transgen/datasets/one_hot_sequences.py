"""Sequences of letters as one-hot arrays: DNA, RNA, proteins, or any alphabet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_transgen.datasets.printable import printable

DNA = "ACGT"
RNA = "ACGU"
PROTEIN = "ACDEFGHIKLMNPQRSTVWY"
MAX_BYTES = 2**32

# What each code may be (Cornish-Bowden, 1985).
_NUCLEOTIDE_CODES = {
    "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC",
    "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT",
}  # fmt: skip
# Selenocysteine and pyrrolysine stand for what they take the place of.
_PROTEIN_CODES = {"B": "DN", "Z": "EQ", "J": "IL", "X": PROTEIN, "U": "C", "O": "K"}
_GAPS = "-."


def one_hot_sequences(
    sequences: Sequence[str],
    alphabet: str = DNA,
    *,
    ambiguity: bool = True,
    length: int | None = None,
    align: str = "left",
    max_bytes: int = MAX_BYTES,
) -> np.ndarray:
    """Sequences as an array with a one for each letter, and zeros where a sequence is not.

    Small letters count as large ones, unless the alphabet has both. In alphabets of nucleotides, T
    and U are the same.

    Args:
        sequences: Strings.
        alphabet: The letters, in the order of the last axis; `DNA` (`"ACGT"`, the default), `RNA`
            (`"ACGU"`), `PROTEIN` (the twenty amino acids by their letters' order) or any other.
        ambiguity: Spread codes for several letters evenly over them, and make gaps (`-`, `.`)
            zeros. For nucleotides the codes are those of IUPAC (`N` is 0.25 four times, `R` 0.5 for
            A and G); for proteins `B` is D or N, `Z` E or Q, `J` I or L, `X` any of twenty, and the
            rare `U` (selenocysteine) is C and `O` (pyrrolysine) K. Other alphabets have none.
            Defaults to `True`; `False` refuses them.
        length: Length of the second axis. Defaults to that of the longest sequence.
        align: Where shorter sequences lie: `"left"` (the default), `"center"` or `"right"`.
        max_bytes: Most bytes of the array. Defaults to 4 GiB.

    Returns:
        float32 `[count, length, len(alphabet)]`.

    Raises:
        ValueError: If a letter is not known, a sequence is longer than `length`, or an argument is
            out of its range.

    Example:
        ```python
        from keras_transgen.datasets import one_hot_sequences

        x = one_hot_sequences(["AC", "GNT"])
        assert x[0].tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
        assert x[1, 1].tolist() == [0.25] * 4
        ```

    Reference:
        Cornish-Bowden, Nomenclature for incompletely specified bases in nucleic acid sequences,
        1985.
    """
    check_strings(sequences)
    if align not in ("left", "center", "right"):
        raise ValueError(f"Expected align as 'left', 'center' or 'right'. Received: {align!r}")
    table, known = letter_table(alphabet, ambiguity)
    sequences = list(sequences)
    lengths = np.array([len(sequence) for sequence in sequences], "int64")
    longest = int(lengths.max(initial=0))
    length = longest if length is None else length
    if longest > length:
        raise ValueError(
            "Expected sequences of at most the given length; cut them first. "
            f"Received: length={length}, and sequence {int(lengths.argmax())} of {longest} letters"
        )
    expected = len(sequences) * length * 4 * len(alphabet)
    if expected > max_bytes:
        raise ValueError(
            f"Expected an array of at most max_bytes={max_bytes:,}. Give more where memory allows, "
            "or cut the longest sequences: all take as much as the longest. "
            f"Received: {len(sequences):,} sequences at length {length:,}, {expected:,} bytes"
        )
    # A character outside of ASCII becomes the question mark, which no table has.
    letters = np.frombuffer("".join(sequences).encode("ascii", "replace"), "uint8")
    if not known[letters].all():
        raise unknown_letter(
            sequences, lengths, int(np.argmin(known[letters])), alphabet, ambiguity
        )
    spare = length - lengths
    start = {"left": np.zeros_like(spare), "center": spare // 2, "right": spare}[align]
    column = np.arange(length)
    there = (column >= start[:, np.newaxis]) & (column < (start + lengths)[:, np.newaxis])
    made = np.zeros((len(sequences), length, len(alphabet)), "float32")
    made[there] = table[letters]
    return made


def check_strings(sequences: Sequence[str]) -> None:
    """Refuse what is no list of strings.

    Args:
        sequences: What the user gave.

    Raises:
        ValueError: It is something else.
    """
    if isinstance(sequences, str | bytes):
        others = [type(sequences).__name__]
    else:
        others = [
            f"{type(each).__name__} at place {place}"
            for place, each in enumerate(sequences)
            if not isinstance(each, str)
        ]
    if others:
        raise ValueError(
            "Expected a list of strings; put one alone into a list, and of the records of a FASTA "
            "file give [record.sequence for record in records]. "
            f"Received: {others[0]}"
        )


def letter_table(alphabet: str, ambiguity: bool) -> tuple[np.ndarray, np.ndarray]:
    """A row for each of 256 bytes, `[256, len(alphabet)]`, and which of them are known.

    Args:
        alphabet: The letters.
        ambiguity: Whether codes for several letters and gaps are known.

    Raises:
        ValueError: The alphabet is none.
    """
    letters = set(alphabet)
    if (
        not isinstance(alphabet, str)
        or not alphabet
        or len(letters) != len(alphabet)
        or not all("!" <= letter <= "~" and letter != "?" for letter in letters)
    ):
        raise ValueError(
            "Expected an alphabet of visible ASCII letters, each once and without '?'. "
            f"Received: alphabet={alphabet!r}"
        )
    meanings = {letter: letter for letter in alphabet}
    codes: dict[str, str] = {}
    if set("ACG") <= letters <= set("ACGTUN-.") and letters & set("TU"):
        base = "T" if "T" in letters else "U"
        meanings = {"T": base, "U": base} | meanings
        codes = {code: each.replace("T", base) for code, each in _NUCLEOTIDE_CODES.items()}
    elif set(PROTEIN) <= letters:
        codes = _PROTEIN_CODES
    if ambiguity:
        meanings = dict.fromkeys(_GAPS, "") | codes | meanings
    meanings = {letter.lower(): each for letter, each in meanings.items()} | meanings
    table = np.zeros((256, len(alphabet)), "float32")
    known = np.zeros(256, bool)
    for letter, each in meanings.items():
        known[ord(letter)] = True
        for one in each:
            table[ord(letter), alphabet.index(one)] = 1 / len(each)
    return table, known


def unknown_letter(
    sequences: list[str], lengths: np.ndarray, place: int, alphabet: str, ambiguity: bool
) -> ValueError:
    """What to say of a letter that is not known.

    Args:
        sequences: All sequences.
        lengths: Their lengths.
        place: Of the letter in all of them, one behind the other.
        alphabet: As in `one_hot_sequences`.
        ambiguity: As in `one_hot_sequences`.
    """
    ends = np.cumsum(lengths)
    number = int(np.searchsorted(ends, place, side="right"))
    position = place - int(ends[number] - lengths[number])
    advice = "" if ambiguity else ", or codes for several of them with ambiguity=True"
    return ValueError(
        f"Expected letters of alphabet={alphabet!r}{advice}. Received: "
        f"{printable(sequences[number][position])!r} at position {position} of sequence {number}"
    )
