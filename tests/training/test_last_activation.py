"""What a network does last is found wherever it is computed."""

import keras
import pytest

from keras_transgen.training.last_activation import last_activation, last_activations

L = keras.layers


def _functional(end, shape=(4,)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, end(L.Dense(3)(inputs)))


def _row(*layers, shape=(4,)):
    return keras.Sequential([keras.Input(shape), *layers])


class OwnModel(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = L.Dense(3)

    def build(self, shape):
        self.dense.build(shape)
        self.built = True

    def call(self, x, training=False):
        return keras.ops.softmax(self.dense(x))


def _shares(x):
    exponentials = keras.ops.exp(x)
    return exponentials / keras.ops.sum(exponentials, axis=-1, keepdims=True)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: _row(L.Dense(3, activation="softmax")), "softmax"),
        (lambda: _row(L.Dense(3), L.Softmax()), "softmax"),
        (lambda: _row(L.Dense(3), L.Softmax(), L.Reshape((3, 1)), L.Flatten()), "softmax"),
        (lambda: _row(L.Dense(3), L.Activation("sigmoid"), L.Dropout(0.5)), "sigmoid"),
        (lambda: _row(L.Dense(3, activation=keras.ops.sigmoid)), "sigmoid"),
        (lambda: _row(L.Dense(3, activation="sigmoid", dtype="mixed_float16")), "sigmoid"),
        (lambda: _row(L.Dense(3, activation="hard_sigmoid")), "hard_sigmoid"),
        (lambda: _row(L.Dense(3, activation="sparsemax")), "sparsemax"),
        (lambda: _row(L.Dense(3, activation="log_softmax")), "log_softmax"),
        (lambda: _row(_row(L.Dense(3), L.Activation("tanh"))), "tanh"),
        (
            lambda: _row(L.TimeDistributed(L.Dense(3, activation="softmax")), shape=(5, 4)),
            "softmax",
        ),
        (lambda: _row(L.Conv2D(1, 3, activation="sigmoid"), shape=(8, 8, 1)), "sigmoid"),
        (lambda: _row(L.Conv2DTranspose(1, 3, activation="tanh"), shape=(8, 8, 1)), "tanh"),
        (lambda: _functional(keras.ops.softmax), "softmax"),
        (lambda: _functional(keras.ops.nn.sigmoid), "sigmoid"),
        (lambda: _functional(lambda x: keras.ops.clip(x, 0.0, 1.0)), "clip"),
        (lambda: _functional(lambda x: L.Lambda(keras.ops.softmax)(x)), "softmax"),
        (lambda: _functional(_shares), "softmax"),
        (lambda: _functional(_row(L.Dense(3, activation="softmax"), shape=(3,))), "softmax"),
        (
            lambda: _functional(
                lambda x: L.Concatenate()([L.Dense(1, "sigmoid")(x), L.Dense(2, "sigmoid")(x)])
            ),
            "sigmoid",
        ),
    ],
)
def test_the_last_activation_is_found(make, expected):
    assert last_activation(make()) == expected


@pytest.mark.parametrize(
    "make",
    [
        lambda: _row(L.Dense(3)),
        lambda: _row(L.Dense(3, activation="softmax"), L.Dense(3)),
        lambda: _row(L.Dense(3, activation="tanh"), L.Rescaling(10.0)),
        lambda: _row(L.Dense(3, activation="swish")),
        lambda: _row(L.Dense(3, activation="sigmoid"), L.BatchNormalization()),
        lambda: _functional(lambda x: x + keras.ops.softmax(x)),
    ],
)
def test_what_bounds_no_output_is_none(make):
    assert last_activation(make()) is None


def test_a_model_of_ones_own_and_a_single_layer_are_looked_through():
    own = OwnModel()
    own.build((None, 4))
    assert last_activation(own, keras.KerasTensor((None, 4))) == "softmax"
    dense = L.Dense(3, activation="sigmoid")
    assert last_activation(dense) == "sigmoid"
    dense.build((None, 4))
    assert last_activation(dense) == "sigmoid"


def test_each_output_has_its_own():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, [L.Dense(2)(inputs), L.Dense(2, activation="sigmoid")(inputs)])
    assert last_activations(model) == [None, "sigmoid"]
    assert last_activation(model) == "sigmoid"


def test_looking_leaves_no_trace():
    model = _row(L.Dense(3, activation="softmax"), L.GaussianNoise(1.0))
    before = [weight.numpy() for weight in model.weights]
    assert last_activation(model) == "softmax"
    assert all((a == b.numpy()).all() for a, b in zip(before, model.weights, strict=True))
