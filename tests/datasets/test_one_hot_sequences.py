import numpy as np
import pytest
from sklearn.preprocessing import OneHotEncoder

from keras_transgen.datasets import (
    DNA,
    PROTEIN,
    RNA,
    one_hot_sequences,
    read_fasta,
)


@pytest.mark.parametrize("alphabet", [DNA, RNA, PROTEIN, "HEC", "TGCA", "01"])
def test_letters_are_what_scikit_learn_encodes(alphabet):
    letters = np.random.default_rng(0).choice(list(alphabet), (7, 31))
    encoder = OneHotEncoder(categories=[list(alphabet)], sparse_output=False)
    expected = encoder.fit_transform(letters.reshape(-1, 1)).reshape(7, 31, len(alphabet))
    made = one_hot_sequences(["".join(row) for row in letters], alphabet)
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made, expected)
    small = one_hot_sequences(["".join(row).lower() for row in letters], alphabet)
    np.testing.assert_array_equal(small, expected)


def test_codes_of_nucleotides_by_hand():
    third = np.float32(1 / 3)
    # Columns A, C, G, T, as the table of IUPAC has them.
    expected = {
        "R": [0.5, 0, 0.5, 0], "Y": [0, 0.5, 0, 0.5], "S": [0, 0.5, 0.5, 0], "W": [0.5, 0, 0, 0.5],
        "K": [0, 0, 0.5, 0.5], "M": [0.5, 0.5, 0, 0], "B": [0, third, third, third],
        "D": [third, 0, third, third], "H": [third, third, 0, third], "V": [third, third, third, 0],
        "N": [0.25] * 4, "-": [0] * 4, ".": [0] * 4, "U": [0, 0, 0, 1], "n": [0.25] * 4,
    }  # fmt: skip
    for alphabet in (DNA, RNA):
        made = one_hot_sequences(["".join(expected), "T"], alphabet)
        np.testing.assert_array_equal(made[0], np.array(list(expected.values()), "float32"))
        assert made[1, 0].tolist() == [0, 0, 0, 1]
    # A letter of the alphabet means itself.
    assert one_hot_sequences(["NU"], "ACGTN")[0].tolist() == [[0, 0, 0, 0, 1], [0, 0, 0, 1, 0]]
    assert one_hot_sequences(["N-"], "ACGT-")[0].tolist() == [[0.25] * 4 + [0], [0] * 4 + [1]]


def test_codes_of_proteins_by_hand():
    made = one_hot_sequences(["BZJUOXN"], PROTEIN)[0]
    halves = {0: "DN", 1: "EQ", 2: "IL"}
    for row, letters in halves.items():
        assert {PROTEIN[column]: value for column, value in enumerate(made[row]) if value} == (
            dict.fromkeys(letters, 0.5)
        )
    assert PROTEIN[made[3].argmax()] == "C"
    assert PROTEIN[made[4].argmax()] == "K"
    np.testing.assert_allclose(made[5], 0.05)
    assert PROTEIN[made[6].argmax()] == "N"
    assert made.sum(axis=-1).tolist() == pytest.approx([1] * 7)
    assert one_hot_sequences(["U"], PROTEIN + "U")[0, 0, 20] == 1


@pytest.mark.parametrize(("align", "rows"), [("left", [0]), ("center", [1]), ("right", [3])])
def test_shorter_sequences_have_zeros_around(align, rows):
    made = one_hot_sequences(["G", "ACGT"], length=4, align=align)
    assert np.flatnonzero(made[0].any(axis=-1)).tolist() == rows
    np.testing.assert_array_equal(made[1], np.eye(4))
    assert one_hot_sequences(["G"], length=6, align=align).shape == (1, 6, 4)


def test_no_sequences_and_empty_ones():
    assert one_hot_sequences([]).shape == (0, 0, 4)
    assert one_hot_sequences(["", "A"]).tolist() == [[[0, 0, 0, 0]], [[1, 0, 0, 0]]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sequences": ["ACG", "", "AZ"]}, "'ACGT'.*'Z' at position 1 of sequence 2"),
        ({"sequences": ["Z"]}, "'Z' at position 0 of sequence 0"),
        ({"sequences": ["A", "C?"]}, r"'\?' at position 1 of sequence 1"),
        ({"sequences": ["Aé"]}, "'é' at position 1 of sequence 0"),
        ({"sequences": ["A\u202e"]}, r"\\u202e' at position 1"),
        ({"sequences": ["AN"], "ambiguity": False}, "ambiguity=True.*'N'"),
        ({"sequences": ["A-"], "ambiguity": False}, "ambiguity=True.*'-'"),
        ({"sequences": ["HX"], "alphabet": "HEC"}, "'X'"),
        ({"sequences": ["M*K"], "alphabet": PROTEIN}, r"'\*' at position 1"),
        ({"sequences": ["AC", "ACG"], "length": 2}, "length=2, and sequence 1 of 3 letters"),
        ({"sequences": "ACG"}, "list of strings"),
        ({"sequences": [("a", "", "ACG")]}, "record.sequence"),
        ({"sequences": ["A"], "align": "middle"}, "'left', 'center' or 'right'"),
        ({"sequences": ["A"], "alphabet": ""}, "visible ASCII"),
        ({"sequences": ["A"], "alphabet": "AA"}, "each once"),
        ({"sequences": ["A"], "alphabet": "A?"}, "without"),
        ({"sequences": ["A"], "alphabet": "Aé"}, "visible ASCII"),
        ({"sequences": ["A"] * 10 + ["A" * 100], "max_bytes": 10_000}, "17,600 bytes"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        one_hot_sequences(**arguments)


@pytest.mark.shared_data
def test_splice_junctions_with_their_codes(shared_folder):
    lines = (shared_folder / "data/splice_junctions/splice.data").read_text().splitlines()
    sequences = [line.split(",")[2].strip() for line in lines]
    made = one_hot_sequences(sequences)
    assert made.shape == (3190, 60, 4)
    np.testing.assert_allclose(made.sum(axis=-1), 1, atol=1e-6)
    for column, letter in enumerate(DNA):
        assert (made[..., column] == 1).sum() == "".join(sequences).count(letter)
    assert (made == 0.25).sum() == 4 * "".join(sequences).count("N")


@pytest.mark.shared_data
def test_promoters(shared_folder):
    records = read_fasta(shared_folder / "data/ecoli_promoters/Ecoli_prom.fa")
    made = one_hot_sequences([record.sequence for record in records])
    decoded = np.array(list(DNA))[made.argmax(axis=-1)]
    assert ["".join(row) for row in decoded] == [record.sequence for record in records]
