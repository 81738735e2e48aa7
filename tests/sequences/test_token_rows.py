import numpy as np
import pytest

from keras_transgen.sequences.token_rows import groups, rounded, same_length


def test_rows_of_one_length():
    found = same_length([[1, 4, 2], [1], []])
    assert found.tolist() == [[1, 4, 2], [1, 0, 0], [0, 0, 0]]
    assert found.dtype == "int32"
    assert same_length([[7]], 3).tolist() == [[7, 0, 0]]


def test_lengths_are_rounded_to_few():
    assert [rounded(length) for length in (1, 16, 17, 33)] == [16, 16, 32, 48]


@pytest.mark.parametrize("count", [1, 3, 64, 65, 150])
def test_every_row_is_in_one_group_of_few_shapes(count):
    lengths = np.random.default_rng(0).integers(1, 100, count)
    found = list(groups(lengths))
    assert sorted(row for group in found for row in group.rows) == list(range(count))
    longest = 0
    for rows, filled, width in found:
        assert len(rows) <= 64
        assert filled[: len(rows)].tolist() == rows.tolist()
        assert set(filled.tolist()) == set(rows.tolist())
        # The smallest power of two that holds them.
        assert len(filled) / 2 < len(rows) <= len(filled)
        assert bin(len(filled)).count("1") == 1
        assert width - 16 < lengths[rows].max() <= width
        # Groups go by length.
        assert longest <= lengths[rows].min()
        longest = lengths[rows].max()
