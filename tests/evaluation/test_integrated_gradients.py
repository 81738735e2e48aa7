"""Integrated gradients against closed forms and their axioms."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_transgen as ktg
from keras_transgen.evaluation import integrated_gradients

RNG = np.random.default_rng(9)
X = RNG.normal(size=(5, 6, 4)).astype("float32")


def network(positions=False):
    keras.utils.set_random_seed(3)
    layers = [
        keras.Input((6, 4)),
        keras.layers.Conv1D(5, 3, activation="tanh", padding="same"),
        keras.layers.Dropout(0.5),
        keras.layers.BatchNormalization(),
    ]
    if not positions:
        layers += [keras.layers.Flatten()]
    return keras.Sequential([*layers, keras.layers.Dense(3)])


def test_a_cubic_by_its_integral():
    # f = sum(w x^3): along a line from zero the integral of 3 w (a x)^2 x is w x^3.
    w = RNG.normal(size=(6, 4)).astype("float32")
    found = integrated_gradients(
        lambda x: x, X, lambda out: tf.reduce_sum(w * out**3, [1, 2]), steps=2
    )
    # Two points of Gauss and Legendre integrate polynomials of degree 3 exactly.
    np.testing.assert_allclose(found, w * X**3, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "baseline", [None, 0.25, RNG.normal(size=(6, 4)), RNG.normal(size=X.shape)]
)
@pytest.mark.parametrize("target", [1, np.array([0, 1, 2, 1, 0])])
def test_completeness(target, baseline):
    model = network()
    found = integrated_gradients(model, X, target, baseline)
    nothing = np.broadcast_to(np.float32(0.0 if baseline is None else baseline), X.shape)
    rows = np.arange(5)
    change = (np.asarray(model(X)) - np.asarray(model(nothing)))[rows, target]
    np.testing.assert_allclose(found.sum(axis=(1, 2)), change, atol=1e-4)


def test_completeness_at_a_position():
    model = network(positions=True)
    found = integrated_gradients(model, X, (2, 1))
    change = (np.asarray(model(X)) - np.asarray(model(np.zeros_like(X))))[:, 2, 1]
    np.testing.assert_allclose(found.sum(axis=(1, 2)), change, atol=1e-4)
    # A convolution of three looks no further.
    assert not found[:, 4:].any()
    assert not found[:, 0].any()


def masked_network():
    """Rows of zeros are padding to it, of which nothing but its bias is left."""
    keras.utils.set_random_seed(4)
    inputs = keras.Input((6, 4))
    masked = keras.layers.Masking()(inputs)
    x = keras.layers.Dense(5, activation="tanh", bias_initializer="ones")(masked)
    x = keras.layers.GlobalAveragePooling1D()(x, mask=masked._keras_mask)
    return keras.Model(inputs, keras.layers.Dense(3)(x))


def test_of_letters_nothing_is_all_letters_alike():
    x = ktg.datasets.one_hot_sequences(["ACGTNA", "TTGC"])
    model = masked_network()
    found = integrated_gradients(model, x, 1)
    nothing = np.repeat(np.float32([[1] * 6, [1] * 4 + [0] * 2])[..., None] / 4, 4, axis=-1)
    np.testing.assert_allclose(found, integrated_gradients(model, x, 1, nothing), atol=1e-6)
    change = (np.asarray(model(x)) - np.asarray(model(nothing)))[:, 1]
    np.testing.assert_allclose(found.sum(axis=(1, 2)), change, atol=1e-4)
    assert not found[1, 4:].any()
    assert not found[0, 4].any()


def test_tells_that_an_output_jumps_at_the_baseline():
    x = ktg.datasets.one_hot_sequences(["ACGTNA", "TTGC"])
    with pytest.warns(UserWarning, match=r"of 2 of 2 inputs do not sum .* another baseline"):
        integrated_gradients(masked_network(), x, 1, 0.0)
    with pytest.raises(ValueError, match="one_hot_sequences"):
        integrated_gradients(masked_network(), ["ACGTAA"], 1)


def test_batches_change_nothing():
    model = network()
    whole = integrated_gradients(model, X, 2)
    np.testing.assert_allclose(integrated_gradients(model, X, 2, batch_size=7), whole, atol=1e-5)


def test_of_a_transfer_model():
    backbone = keras.Sequential([keras.Input((6, 4)), keras.layers.Dense(3, activation="tanh")])
    model = ktg.TransferModel(backbone, 2, seed=0)
    found = integrated_gradients(model, X, 1)
    change = (np.asarray(model(X)) - np.asarray(model(np.zeros_like(X))))[:, 1]
    np.testing.assert_allclose(found.sum(axis=(1, 2)), change, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": 3}, "among the model's outputs"),
        ({"target": (1, 2)}, "among the model's outputs"),
        ({"target": 0.5}, "target=0.5"),
        ({"target": np.zeros(4, int)}, "5 of them"),
        ({"target": 0, "baseline": np.zeros((7, 4))}, "baseline of shape"),
        ({"target": 0, "steps": 0}, "steps=0"),
    ],
)
def test_wrong_settings(arguments, message):
    with pytest.raises(ValueError, match=message):
        integrated_gradients(network(), X, **arguments)


def test_inputs_without_gradients():
    with pytest.raises(ValueError, match="has gradients"):
        integrated_gradients(lambda x: tf.round(x) * 0 + 1.0, X, lambda out: tf.stop_gradient(out))
    with pytest.raises(ValueError, match=r"x\[None\]"):
        integrated_gradients(network(), X[0, 0], 0)
