"""Counts of words against a count by Python's own strings."""

from collections import Counter

import numpy as np
import pytest

from keras_transgen.datasets import PROTEIN, kmer_counts, kmer_names
from keras_transgen.datasets import kmer_counts as function
from keras_transgen.datasets.one_hot_sequences import RNA

RNG = np.random.default_rng(6)


def drawn(alphabet, lengths):
    return ["".join(RNG.choice(list(alphabet), length)) for length in lengths]


def brute_force(sequence, k, alphabet):
    windows = Counter(sequence[place : place + k] for place in range(len(sequence) - k + 1))
    return [windows[word] for word in kmer_names(k, alphabet)]


@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("alphabet", ["ACGT", "ACGU", "AB"])
def test_counts_are_those_of_every_window(k, alphabet):
    sequences = drawn(alphabet, [0, 1, k, 40, 97])
    found = kmer_counts(sequences, k, alphabet)
    assert found.shape == (5, len(alphabet) ** k)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [brute_force(s, k, alphabet) for s in sequences])


def test_proteins_and_ambiguity_codes():
    sequences = drawn(PROTEIN + "XB-", [60, 9])
    found = kmer_counts(sequences, 2, PROTEIN)
    np.testing.assert_array_equal(found, [brute_force(s, 2, PROTEIN) for s in sequences])
    # Each of the two has words that are not counted.
    assert found.sum() < 59 + 8


def test_small_letters_and_the_other_nucleotide_are_the_same():
    plain = kmer_counts(["ACGTTA"], 3)
    np.testing.assert_array_equal(kmer_counts(["acguua"], 3), plain)
    np.testing.assert_array_equal(kmer_counts(["ACGTTA"], 3, RNA), plain)


@pytest.mark.parametrize("alphabet", ["ACGT", "TGCA", "ACGU"])
def test_both_strands(alphabet):
    across = str.maketrans(
        alphabet,
        "".join(dict(zip("ACGTU", "TGCAA"))[c] for c in alphabet).replace(
            "T", "T" if "T" in alphabet else "U"
        ),
    )
    sequences = drawn(alphabet, [30, 8])
    other = [sequence.translate(across)[::-1] for sequence in sequences]
    expected = kmer_counts(sequences, 3, alphabet) + kmer_counts(other, 3, alphabet)
    np.testing.assert_array_equal(kmer_counts(sequences, 3, alphabet, both_strands=True), expected)


def test_shares():
    found = kmer_counts([*drawn("ACGT", [50, 7]), "A"], 2, normalize=True)
    np.testing.assert_allclose(found.sum(axis=1), [1, 1, 0], rtol=1e-6)


def test_long_sequences_go_in_parts(monkeypatch):
    from importlib import import_module

    module = import_module("keras_transgen.datasets.kmer_counts")
    (sequence,) = drawn("ACGT", [101])
    whole = kmer_counts([sequence], 4)
    monkeypatch.setattr(module, "_PART", 7)
    np.testing.assert_array_equal(kmer_counts([sequence], 4), whole)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["ACGT"], 0), "k=0"),
        ((["ACGT"], True), "k=True"),
        (("ACGT", 2), "list of strings"),
        ((["ACGT", "AC!T"], 2), "position 2 of sequence 1"),
        ((["ACGT"], 20), "smaller k"),
        ((["ACGT"], 10**9), "smaller k"),
        (([b"ACGT"], 2), "bytes at place 0"),
        ((["A", None], 2), "NoneType at place 1"),
        ((["AB"], 1, "AA"), "alphabet"),
    ],
)
def test_wrong_settings(arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)
    with pytest.raises(ValueError, match="both_strands"):
        function(["AB"], 1, "AB", both_strands=True)
    with pytest.raises(ValueError, match="Received"):
        function(["ACN"], 1, ambiguity=False)
