"""Rows chosen from data in every form are those of the arrays."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.transfer.labelled_examples import LabelledExamples

X = {"a": np.arange(22.0).reshape(11, 2), "b": np.arange(11)}
Y = np.array([2, 0, 1, 1, 0, 2, 2, 1, 0, 0, 1])
ROWS = np.array([1, 2, 7, 10])


class Batches(keras.utils.PyDataset):
    num_batches = 3

    def __getitem__(self, index):
        part = slice(index * 4, index * 4 + 4)
        return (
            {name: values[part] for name, values in X.items()},
            Y[part],
            np.ones(4)[: len(Y[part])],
        )


def examples(form):
    data = tf.data.Dataset.from_tensor_slices((X, Y))
    given = {
        "arrays": (X, Y[:, None]),
        "tensors": (keras.tree.map_structure(tf.constant, X), tf.constant(Y)),
        "single": (data,),
        "batches": (data.batch(3),),
        "one batch each": (data.batch(1, drop_remainder=True),),
        "python": (Batches(),),
    }
    return LabelledExamples(*given[form])


@pytest.mark.parametrize(
    "form", ["arrays", "tensors", "single", "batches", "one batch each", "python"]
)
@pytest.mark.parametrize("rows", [ROWS, np.arange(11)])
def test_chosen_rows(form, rows):
    found = examples(form)
    np.testing.assert_array_equal(found.labels, Y)
    gathered = found.gather(rows)
    for name, values in X.items():
        np.testing.assert_array_equal(gathered[name], values[rows])
    chosen = found.chosen(rows)
    if isinstance(chosen, keras.utils.PyDataset):
        chosen = [chosen[index] for index in range(chosen.num_batches)]
    for parts in ([chosen] if not found.is_data_set else chosen, found.batches(rows)):
        x, labels = zip(*parts)
        np.testing.assert_array_equal(np.concatenate(labels), Y[rows])
        np.testing.assert_array_equal(np.concatenate([part["a"] for part in x]), X["a"][rows])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X,), "y=None"),
        ((tf.data.Dataset.from_tensor_slices((X, Y)), Y), "leave y out"),
        ((tf.data.Dataset.from_tensor_slices((X, Y)).repeat(),), "data that end"),
        ((tf.data.Dataset.from_tensor_slices(X["a"]),), r"data set of \(x, y\)"),
    ],
)
def test_refuses_what_has_no_labels_or_no_end(arguments, message):
    with pytest.raises(ValueError, match=message):
        LabelledExamples(*arguments)


def test_refuses_another_order():
    data = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(11, seed=2)
    found = LabelledExamples(data)
    with pytest.raises(ValueError, match="another order"):
        found.gather(np.arange(11))
