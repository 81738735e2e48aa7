"""What people hold data in, against NumPy's and pandas' own reading of it."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from keras_transgen.datasets import as_arrays

RNG = np.random.default_rng(3)
IMAGES = RNG.uniform(size=(5, 4, 3)).astype("float32")


@pytest.mark.parametrize(
    "given",
    [
        IMAGES,
        IMAGES.tolist(),
        list(IMAGES),
        tuple(IMAGES),
        [row.tolist() for row in IMAGES],
        [tf.constant(row) for row in IMAGES],
        np.array([*IMAGES, None], object)[:-1],
        [IMAGES],
        [tf.constant(IMAGES)],
    ],
)
def test_rows_of_arrays_are_stacked(given):
    found = as_arrays(given, rank=3)
    np.testing.assert_allclose(np.asarray(found, "float32"), IMAGES, rtol=1e-6)


def test_a_list_of_the_only_input_is_told_by_its_dimensions():
    assert np.shape(as_arrays([IMAGES[:1]], rank=3)) == (1, 4, 3)
    assert np.shape(as_arrays([IMAGES[0]], rank=3)) == (1, 4, 3)
    assert np.shape(as_arrays([IMAGES[0]], rank=2)) == (4, 3)
    assert np.shape(as_arrays([[1.0, 2.0]])) == (1, 2)


def test_several_inputs_stay_apart():
    first, second = as_arrays([IMAGES.tolist(), ["a"] * 5], several=True)
    assert first.shape == (5, 4, 3)
    assert second.tolist() == ["a"] * 5
    found = as_arrays({"image": list(IMAGES), "text": pd.Series(["a"] * 5)})
    assert found["image"].shape == (5, 4, 3)
    assert found["text"].tolist() == ["a"] * 5


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([1, 2, 3], [1, 2, 3]),
        ([True, False], [True, False]),
        ([np.int64(1), 2], [1, 2]),
        ([1, 2.5], [1.0, 2.5]),
        ([np.array(3), np.array(4)], [3, 4]),
        (pd.Series([1, 2], dtype="Int64"), [1, 2]),
        (pd.Series([1.5, 2.0], dtype="Float32"), [1.5, 2.0]),
        (pd.Series([3, 4]).astype("category"), [3, 4]),
        (pd.Categorical([3, 4]), [3, 4]),
        (pd.Index([3, 4]), [3, 4]),
        (pd.DataFrame({"a": [1, 2], "b": [3, 4]}), [[1, 3], [2, 4]]),
        (pd.DataFrame({"a": pd.Series([1, 2], dtype="Int8"), "b": [3.5, 4]}), [[1, 3.5], [2, 4]]),
        (np.array([1, 2], object), [1, 2]),
    ],
)
def test_numbers_are_numbers(given, expected):
    found = as_arrays(given)
    assert found.dtype.kind == np.asarray(expected).dtype.kind
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "given",
    [
        ["ham", "späm"],
        ("ham", "späm"),
        [b"ham", "späm".encode()],
        np.array(["ham", "späm"]),
        np.array(["ham", "späm"], object),
        pd.Series(["ham", "späm"]),
        pd.Series(["ham", "späm"], dtype="string"),
        pd.Series(["ham", "späm"]).astype("category"),
        pd.DataFrame({"text": ["ham", "späm"]}),
    ],
)
def test_words_are_words_and_tensorflow_takes_them(given):
    found = as_arrays(given)
    assert found.tolist() == ["ham", "späm"]
    assert tf.constant(found).numpy()[1].decode() == "späm"


def test_what_is_an_array_already_is_not_touched():
    for given in (IMAGES, tf.constant(IMAGES), tf.ragged.constant([[1], [2, 3]]), None):
        assert as_arrays(given) is given
    words = np.array(["a", "b"], object)
    assert as_arrays(words) is words
    data = tf.data.Dataset.range(3)
    assert as_arrays(data) is data


def test_rows_of_several_lengths_become_ragged():
    rows = [RNG.normal(size=(length, 2)) for length in (3, 1, 4)]
    found = as_arrays(rows)
    assert isinstance(found, tf.RaggedTensor)
    for row, expected in zip(found, rows):
        np.testing.assert_array_equal(row.numpy(), expected)
    assert as_arrays([[1, 2], [3]]).to_list() == [[1, 2], [3]]
    assert as_arrays([["a", "b"], ["c"]]).to_list() == [[b"a", b"b"], [b"c"]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "data are empty"),
        ([1, None, None], "2 missing values, the first in row 1"),
        (pd.Series([1, None]), "1 missing value, the first in row 1"),
        (pd.Series(["a", pd.NA], dtype="string"), "the first in row 1"),
        ([pd.NA, 1], "the first in row 0"),
        ([1, "a"], "a number in row 0, words in row 1"),
        ([1, [2]], "an array in row 1"),
        ([object(), object()], "an object of type object"),
        ([np.ones((2, 3)), np.ones((2, 4))], "2 shapes, such as"),
        ([[[1], [2, 3]], [[4], [5]]], "several lengths in x"),
        (pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), "words in the column b"),
    ],
)
def test_what_is_no_data_says_where(given, message):
    with pytest.raises(ValueError, match=message):
        as_arrays(given)
