"""Data sets lose their tuning thread, and nothing else, on the way into a model."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transgen.training import TrainerModel
from keras_transgen.training.batches import ends_promptly, plain_batches

X = np.random.default_rng(0).normal(size=(11, 4)).astype("float32")
Y = np.arange(11) % 3


def test_the_tuning_thread_is_left_out():
    data = tf.data.Dataset.range(7).batch(2)
    prompt = ends_promptly(data)
    assert prompt.options().autotune.enabled is False
    assert [list(batch) for batch in prompt.as_numpy_iterator()] == [[0, 1], [2, 3], [4, 5], [6]]


def test_who_asks_for_it_keeps_it():
    options = tf.data.Options()
    options.autotune.enabled = True
    data = tf.data.Dataset.range(7).with_options(options)
    assert ends_promptly(data) is data
    assert ends_promptly(X) is X


def test_batches_of_arrays_are_keras_batches():
    batches = plain_batches(({"a": X.astype("float64")}, Y, None), 4)
    assert batches.cardinality() == 3
    assert batches.options().autotune.enabled is False
    found = list(batches.as_numpy_iterator())
    assert [len(y) for _, y in found] == [4, 4, 3]
    assert found[0][0]["a"].dtype == np.float32
    np.testing.assert_array_equal(np.concatenate([x["a"] for x, _ in found]), X)
    np.testing.assert_array_equal(np.concatenate([y for _, y in found]), Y)


@pytest.mark.parametrize("data", [([X, X], Y), (X, Y[:5]), (X[:0],), ("text",), (None,)])
def test_what_keras_shall_take_as_it_is(data):
    assert plain_batches(data, 4) is None


@pytest.fixture
def distributed(monkeypatch):
    """The data sets that Keras hands to the strategy."""
    met = []
    strategy = type(tf.distribute.get_strategy())
    usual = strategy.experimental_distribute_dataset

    def remembering(self, dataset, options=None):
        met.append(dataset)
        return usual(self, dataset, options)

    monkeypatch.setattr(strategy, "experimental_distribute_dataset", remembering)
    return met


@pytest.mark.parametrize("as_dataset", [False, True])
def test_every_way_into_a_model(as_dataset, distributed):
    def given():
        if as_dataset:
            return {"x": tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)}
        return {"x": X, "y": Y, "batch_size": 4}

    model = TrainerModelOf(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, jit_compile=False)
    held_out = given()
    validation = held_out["x"] if as_dataset else (X, Y)
    model.fit(**given(), validation_data=validation, verbose=0)
    model.evaluate(**given(), verbose=0)
    only_x = tf.data.Dataset.from_tensor_slices(X).batch(4) if as_dataset else X
    predicted = model.predict(only_x, verbose=0)
    np.testing.assert_allclose(predicted, model.network(X), rtol=1e-5, atol=1e-6)
    assert len(distributed) == 4
    assert all(data.options().autotune.enabled is False for data in distributed)


class TrainerModelOf(TrainerModel):
    def __init__(self, network):
        super().__init__(seed=0)
        self.network = network

    def call(self, x):
        return self.network(x)


def test_evaluation_of_arrays_is_keras_own():
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    weight = np.linspace(0.5, 2.0, 11)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile("sgd", loss, weighted_metrics=["accuracy"], jit_compile=False)
    expected = network.evaluate(X, Y, sample_weight=weight, batch_size=4, verbose=0)
    ours = TrainerModelOf(network)
    ours.compile("sgd", loss, weighted_metrics=["accuracy"], jit_compile=False)
    found = ours.evaluate(X, Y, sample_weight=weight, batch_size=4, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
